/** How many rows a database has looked at for some work, as Postgres itself counts them. */
import pg from 'pg';
import { expect } from 'vitest';
import type { ShardKit } from './shard-kit.js';

/** Rows of tables that were scanned, and entries of indexes that were read. */
const counters = `
  SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)
       + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes) AS rows`;

/** Connections that have not told yet what they did: they do so when they end. */
const others = `
  SELECT count(*) AS open FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'parallel worker')`;

/**
 * Starts the shard, lets it work and stops it again. What it reads to start is counted too, the same for all work.
 *
 * @param kit its shard must not run.
 */
export async function rowsReadBy(kit: ShardKit, work: () => Promise<unknown>): Promise<number> {
  const client = new pg.Client({ connectionString: kit.databaseUrl() });
  await client.connect();
  const number = async (query: string) => Number(Object.values((await client.query(query)).rows[0])[0]);
  const settled = async () => {
    await expect.poll(() => number(others), { timeout: 10_000 }).toBe(0);
    return number(counters);
  };
  try {
    const before = await settled();
    await kit.start();
    await work();
    await kit.stop();
    return (await settled()) - before;
  } finally {
    await client.end();
  }
}
