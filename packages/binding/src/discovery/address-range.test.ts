import { describe, expect, it } from 'vitest';
import { addressRanges, isReachable } from './address-range.js';

const nothing = addressRanges([]);

describe('[S70] addresses that a stranger may name', () => {
  it.each(['9.9.9.9', '100.128.0.1', '172.32.0.1', '192.167.255.255', '2606:4700:4700::1111', '2a00::1'])(
    'are such of the Internet: %s',
    (address) => expect(isReachable(address, nothing)).toBe(true),
  );

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.8', '192.0.2.1', '192.168.1.1', '198.18.0.1', '198.51.100.1', '203.0.113.1'],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:9.9.9.9', '::7f00:1'],
    ...['64:ff9b::7f00:1', '100::1', '2001::1', '2001:db8::1', '2002:7f00:1::', 'fc00::1', 'fd12::1', 'fe80::1'],
    ...['fec0::1', 'ff02::1', 'fe80::1%eth0', '2a00::1%eth0', '127.1', '0x7f.0.0.1', 'localhost', ''],
  ])('are none that only we can reach, and nothing else: %s', (address) => {
    expect(isReachable(address, nothing)).toBe(false);
  });

  it('are opened by range', () => {
    const allowed = addressRanges(['127.0.0.0/8', 'fd00::/8', '10.0.0.7']);
    expect(['127.0.0.1', 'fd12::1', '10.0.0.7'].map((address) => isReachable(address, allowed))).not.toContain(false);
    expect(['10.0.0.8', 'fe80::1', '::1'].map((address) => isReachable(address, allowed))).not.toContain(true);
  });

  it.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/x', '10.0.0/8', '::1/129', 'here', ''])(
    'are opened by no range that is none: %s',
    (text) => expect(() => addressRanges([text])).toThrow(RangeError),
  );
});
