import { contactRequestsPerDomainPerDayMax } from '@meshd/limits/limits';
import { ConfigError, readConfig } from '@meshd/process/config';
import { describe, expect, test } from 'vitest';
import { shardSettings } from './config.js';
import { sitePolicyDefault, sitePolicyOf } from './message/site-policy.js';

const environment = {
  MESHD_ADMIN_LISTEN: '127.0.0.1:9100',
  MESHD_HOST_DIR: '/run/meshd/host',
  MESHD_RPC_CERT_FILE: '/run/meshd/rpc/tls.crt',
  MESHD_RPC_KEY_FILE: '/run/meshd/rpc/tls.key',
  MESHD_RPC_CA_FILE: '/run/meshd/rpc/ca.crt',
  MESHD_SHARD_NAME: 'shard-0',
  MESHD_SHARD_NAMES: 'shard-0,shard-1',
  MESHD_RPC_LISTEN: ':7000',
  MESHD_RPC_ADVERTISE: 'shard-0.shards:7000',
  MESHD_POSTGRES_URL: 'postgres://meshd@db/shard-0',
  MESHD_DIRECTORY_URL: 'postgres://meshd@db/directory',
  MESHD_DOMAINS: 'Example.COM,mesh.example',
};

describe('the settings of a shard', () => {
  test('domains are read in canonical form; registration is closed unless said otherwise', () => {
    const config = readConfig(shardSettings, environment);
    expect(config.domains).toEqual(['example.com', 'mesh.example']);
    expect(config.registration).toBe('closed');
  });

  test('[R187] of messages nothing is said where nothing is set; domains are canonical, types are as they are', () => {
    const { domains, ...unset } = readConfig(shardSettings, environment);
    expect(sitePolicyOf({ domains, ...unset })).toEqual(sitePolicyDefault);
    expect(unset.contactRequestsPerDayMax).toBe(contactRequestsPerDomainPerDayMax);
    const set = readConfig(shardSettings, {
      ...environment,
      MESHD_MESSAGE_DOMAINS: 'Alpha.test, beta.test',
      MESHD_MESSAGE_DOMAINS_REFUSED: 'EVIL.test',
      MESHD_MESSAGE_DOMAINS_OPEN: 'beta.test',
      MESHD_MESSAGE_TYPES_REFUSED: 'Note,Invoice',
      MESHD_MESSAGE_REFUSALS: 'dropped',
      MESHD_CONTACT_REQUESTS_PER_DAY_MAX: '0',
    });
    expect(sitePolicyOf(set)).toEqual({
      allowedDomains: new Set(['example.com', 'mesh.example', 'alpha.test', 'beta.test']),
      blockedDomains: new Set(['evil.test']),
      blockedTypes: new Set(['Note', 'Invoice']),
      openDomains: new Set(['beta.test']),
      dropsSilently: true,
    });
    expect(set.contactRequestsPerDayMax).toBe(0);
    for (const [name, value] of [
      ['MESHD_MESSAGE_DOMAINS', 'a b'],
      ['MESHD_MESSAGE_REFUSALS', 'yes'],
      ['MESHD_CONTACT_REQUESTS_PER_DAY_MAX', '-1'],
    ] as const) {
      expect(() => readConfig(shardSettings, { ...environment, [name]: value })).toThrow(new RegExp(name));
    }
  });

  test('what is wrong is named, a domain that is none included', () => {
    const wrong = { ...environment, MESHD_DOMAINS: 'exa mple', MESHD_SHARD_NAME: '../0' };
    expect(() => readConfig(shardSettings, wrong)).toThrow(ConfigError);
    expect(() => readConfig(shardSettings, wrong)).toThrow(/MESHD_DOMAINS.*/);
  });
});
