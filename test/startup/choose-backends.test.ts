import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendError, startBackends } from '@meshd/dev/backends';
import { cacheFolder, readTestBackends } from '@meshd/dev/config';
import { canConnect } from '@meshd/dev/databases';
import { freePorts } from '@meshd/dev/ports';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-choose-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const options = (postgresUrl: string, redisUrl: string) => ({
  postgresUrl,
  redisUrl,
  postgresFolder: join(folder, 'postgres'),
  logFolder: join(folder, 'logs'),
  cache: cacheFolder,
  passwords: { postgres: 'a', redis: 'b' },
  volume: 'meshd-choose',
  say: () => {},
});

describe('the choice of backends', () => {
  it('takes addresses that are given, and leaves the servers running', async () => {
    const { postgresUrl, redisUrl } = readTestBackends();
    const backends = await startBackends(options(postgresUrl, redisUrl));
    expect([backends.postgres.url, backends.postgres.source]).toEqual([postgresUrl, 'MESHD_POSTGRES_URL']);
    expect([backends.redis.url, backends.redis.source]).toEqual([redisUrl, 'MESHD_REDIS_URL']);
    await backends.stop();
    expect(await canConnect(postgresUrl)).toBe(true);
  });

  it('says in a sentence that an address leads nowhere, and shows no password', async () => {
    const [port] = await freePorts(1);
    const { postgresUrl } = readTestBackends();
    const failure = await startBackends(options(postgresUrl, `redis://:swordfish@127.0.0.1:${port}`)).catch((e) => e);
    expect(failure).toBeInstanceOf(BackendError);
    expect(failure.message).toBe('Nothing usable answers at the address in MESHD_REDIS_URL.');
  });
});
