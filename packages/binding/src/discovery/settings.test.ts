import { describe, expect, it } from 'vitest';
import { isReachable } from './address-range.js';
import { DiscoverySettingError, readDiscoverySettings } from './settings.js';

describe('settings of discovery', () => {
  it('are none where nothing is said', () => {
    const { servers, overrides, allowed } = readDiscoverySettings({ servers: ' ', overrides: '' });
    expect([servers, overrides.size, isReachable('127.0.0.1', allowed)]).toEqual([undefined, 0, false]);
  });

  it('are lists', () => {
    const { servers, overrides, allowed } = readDiscoverySettings({
      servers: '127.0.0.1:5353, [::1]:53',
      overrides: 'Alpha.test=127.0.0.1:8443,beta.test=[::1]:8444/mesh,gamma.test=router:443',
      allow: '127.0.0.0/8,::1',
    });
    expect(servers).toEqual([
      { host: '127.0.0.1', port: 5353 },
      { host: '::1', port: 53 },
    ]);
    expect([...overrides]).toEqual([
      ['alpha.test', { host: '127.0.0.1', port: 8443, path: '/.well-known/mmm' }],
      ['beta.test', { host: '::1', port: 8444, path: '/mesh' }],
      ['gamma.test', { host: 'router', port: 443, path: '/.well-known/mmm' }],
    ]);
    expect([isReachable('127.0.0.1', allowed), isReachable('::1', allowed)]).toEqual([true, true]);
  });

  it.each([
    { servers: 'dns.example:53' },
    { servers: '127.0.0.1' },
    { servers: '127.0.0.1:70000' },
    { servers: '127.0.0.1:0' },
    { overrides: 'alpha.test' },
    { overrides: '=127.0.0.1:8443' },
    { overrides: 'not a name=127.0.0.1:8443' },
    { overrides: 'alpha.test=127.0.0.1' },
    { overrides: 'alpha.test=127.0.0.1:8443/../x' },
    { overrides: 'alpha.test=https://127.0.0.1:8443' },
    { allow: '10.0.0.0/40' },
  ])('are refused with their form where they have another: %o', (texts) => {
    expect(() => readDiscoverySettings(texts)).toThrow(DiscoverySettingError);
    expect(() => readDiscoverySettings(texts)).toThrow(/write [A-Z:/=[\]]+/);
  });
});
