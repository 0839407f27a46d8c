/** Database transactions apart from the queue of writes. */
import type pg from 'pg';
import { type ClientMaker, keeperConfig, makeClient, storageError } from './database.js';
import type { Lease } from './lease.js';
import type { Snapshot } from './load-account.js';
import { expectLease } from './sql/lease.js';
import type { SweepTransaction } from './sweeper.js';

/** Which database, and how it is reached. */
export interface DatabaseOptions {
  readonly url: string;
  readonly makeClient?: ClientMaker;
}

/** A transaction of its own, apart from the queue: rare, small, not urgent. */
export async function transaction(
  options: DatabaseOptions,
  lease: Lease,
  statements: Parameters<SweepTransaction>[0],
): Promise<number[]> {
  lease.expectHeld();
  const client = (options.makeClient ?? makeClient)(keeperConfig(options.url));
  client.on('error', () => {}); // the statement under way fails too
  try {
    await client.connect();
    await client.query('BEGIN');
    const counts: number[] = [];
    for (const { text, values } of [expectLease(lease), ...statements]) {
      counts.push((await client.query(text, [...values])).rowCount ?? 0);
    }
    await client.query('COMMIT');
    return counts.slice(1);
  } catch (error) {
    throw storageError(error);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Reads that all see the same moment, on one connection of the pool. */
export function snapshotOf(pool: pg.Pool): Snapshot {
  return async (work) => {
    const client = await pool.connect().catch((error) => {
      throw storageError(error);
    });
    let failure: Error | undefined;
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      failure = storageError(error);
      throw failure;
    } finally {
      client.release(failure);
    }
  };
}
