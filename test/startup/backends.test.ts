import { readTestBackends } from '@meshd/dev/config';
import { databaseUrl, dropDatabases, ensureDatabases } from '@meshd/dev/databases';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it } from 'vitest';

describe('backends of a test run', () => {
  it('are a Postgres in which databases come and go', async () => {
    const { postgresUrl } = readTestBackends();
    const name = `startup_${process.pid}`;
    const [url] = await ensureDatabases(postgresUrl, [name]);
    expect(await ensureDatabases(postgresUrl, [name])).toEqual([databaseUrl(postgresUrl, name)]);
    const client = new pg.Client({ connectionString: url as string });
    await client.connect();
    const { rows } = await client.query('SELECT current_database() AS name');
    expect(rows).toEqual([{ name }]);
    await client.end();
    await dropDatabases(postgresUrl, [name]);
  });

  it('are a Redis that answers', async () => {
    const redis = new Redis(readTestBackends().redisUrl);
    expect(await redis.ping()).toBe('PONG');
    redis.disconnect();
  });
});
