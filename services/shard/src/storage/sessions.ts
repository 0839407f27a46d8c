/** Connections besides those of the writers: a pool for reading, and short ones of their own. */
import { shardReadConnectionsMax } from '@meshd/limits/limits';
import pg from 'pg';
import {
  type ClientMaker,
  keeperConfig,
  makeClient,
  readerConfig,
  rowsOf,
  type Statement,
  storageError,
} from './database.js';
import type { Lease } from './lease.js';
import type { Snapshot } from './load-account.js';
import { expectLease, takeNumberBlock } from './sql/lease.js';

/** Where sessions go to. */
export interface SessionSource {
  readonly url: string;
  readonly makeClient?: ClientMaker;
}

/** Connections for reading. */
export function makeReadPool(url: string): pg.Pool {
  const pool = new pg.Pool({ ...readerConfig(url), max: shardReadConnectionsMax });
  // a connection that breaks tells whoever waits for it and the pool; an event without listener would end the process
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

async function withSession<T>(source: SessionSource, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = (source.makeClient ?? makeClient)(keeperConfig(source.url));
  client.on('error', () => {}); // the statement under way fails too
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw storageError(error);
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * A transaction of its own under the lease, apart from the queue: for what is rare, small and not urgent.
 *
 * @returns the number of rows that each statement affected
 * @throws StorageError
 */
export async function runApart(
  source: SessionSource,
  lease: Lease,
  statements: readonly Statement[],
): Promise<number[]> {
  lease.expectHeld();
  return withSession(source, async (client) => {
    await client.query('BEGIN');
    const counts: number[] = [];
    for (const { text, values } of [expectLease(lease), ...statements]) {
      counts.push((await client.query(text, [...values])).rowCount ?? 0);
    }
    await client.query('COMMIT');
    return counts.slice(1);
  });
}

/** The first number of a new block. @throws StorageError */
export function takeBlock(source: SessionSource): Promise<number> {
  return withSession(source, async (client) => (await rowsOf<[number]>(client, takeNumberBlock))[0]?.[0] as number);
}

/** Runs reads that belong together in one snapshot of the database. */
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
