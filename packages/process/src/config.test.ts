import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, describeConfig, readConfig, settingName, settingNames } from './config.js';
import {
  formatHostPort,
  hostPort,
  hostPortList,
  logLevel,
  nameList,
  parseHostPort,
  secret,
  secretUrl,
} from './setting.js';

const schema = z.object({
  listen: hostPort,
  shards: hostPortList.optional(),
  domains: nameList.optional(),
  logLevel,
  postgresUrl: secretUrl.optional(),
  token: secret.optional(),
});

const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe('readConfig', () => {
  it('reads typed values and fills in defaults', () => {
    const config = readConfig(schema, {
      MESHD_LISTEN: '127.0.0.1:0',
      MESHD_SHARDS: 'a:1, [::1]:2',
      MESHD_DOMAINS: 'example.com,example.net',
      HOME: '/',
    });
    expect(config).toEqual({
      listen: { host: '127.0.0.1', port: 0 },
      shards: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
      domains: ['example.com', 'example.net'],
      logLevel: 'info',
    });
  });

  it('refuses a setting that does not exist', () => {
    expect(problemsOf({ MESHD_LISTEN: ':1', MESHD_LISTN: ':2' })).toEqual([
      'MESHD_LISTN is not a setting of this process',
    ]);
  });

  it('names every problem at once, without the values', () => {
    const problems = problemsOf({ MESHD_POSTGRES_URL: 'swordfish', MESHD_SHARDS: 'swordfish' });
    expect(problems.map((problem) => problem.split(/[: ]/)[0]).sort()).toEqual([
      'MESHD_LISTEN',
      'MESHD_POSTGRES_URL',
      'MESHD_SHARDS',
    ]);
    expect(problems.join()).not.toContain('swordfish');
  });

  it('takes an empty value as absent', () => {
    expect(problemsOf({ MESHD_LISTEN: '' })).toEqual(['MESHD_LISTEN is missing']);
  });
});

describe('settings', () => {
  it('are named after the members', () => {
    expect(settingName('rpcCaFile')).toBe('MESHD_RPC_CA_FILE');
    expect(settingNames(schema)).toContain('MESHD_POSTGRES_URL');
  });

  it('are shown without their secrets', () => {
    const config = readConfig(schema, {
      MESHD_LISTEN: ':1',
      MESHD_POSTGRES_URL: 'postgres://user:swordfish@db:5432/mesh?password=swordfish',
      MESHD_TOKEN: 'swordfish',
    });
    const shown = describeConfig(schema, config);
    expect(shown.postgresUrl).toBe('postgres://db:5432/mesh');
    expect(shown.token).toBe('[redacted]');
    expect(JSON.stringify(shown)).not.toContain('swordfish');
  });

  it.each([
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    [':80', { host: '0.0.0.0', port: 80 }],
    ['shard-0.shard:7000', { host: 'shard-0.shard', port: 7000 }],
    ['host', undefined],
    ['host:65536', undefined],
    ['::1:80', undefined],
    ['a b:80', undefined],
  ])('address %s', (text, expected) => {
    expect(parseHostPort(text)).toEqual(expected);
    if (expected !== undefined && !text.startsWith(':')) expect(formatHostPort(expected)).toBe(text);
  });
});
