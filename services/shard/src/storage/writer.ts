/**
 * One connection that writes transactions. All statements of a transaction leave in one piece and are answered in one
 * piece: a transaction costs one round trip, and every comparison in it is made by the database, which stops at the
 * first that fails.
 */
import { statementMsMax } from '@meshd/limits/limits';
import type pg from 'pg';
import {
  arrayQuery,
  type ClientMaker,
  rowsOf,
  type Statement,
  sqlState,
  storageError,
  transactionAborted,
  writerConfig,
} from './database.js';
import { StorageError } from './errors.js';
import { expectLease, type LeaseHeld } from './sql/lease.js';

const begin: Statement = { text: 'BEGIN', values: [] };
const commit: Statement = { text: 'COMMIT', values: [] };

/** What {@link makeWriter} needs. */
export interface WriterOptions {
  readonly url: string;
  readonly lease: LeaseHeld;
  readonly makeClient: ClientMaker;
  /** False: a power cut may take back what was committed last. For what can be done again. True by default. */
  readonly waitsForDisk?: boolean;
}

/** Writes one transaction at a time. */
export interface Writer {
  /**
   * Runs the statements in a transaction under the lease.
   *
   * @throws StorageError; `unavailable` leaves open whether it was committed, but by then the database has made an end
   * of it either way
   * @returns the rows that each statement gave, as arrays of typed values
   */
  run(statements: readonly Statement[]): Promise<readonly unknown[][][]>;
  end(): Promise<void>;
}

/** The driver's socket, to hold its writes back until a transaction is complete. */
interface Corkable {
  readonly connection: { readonly stream: { cork?(): void; uncork?(): void } };
}

/** Sends all statements at once; resolves when all are answered. */
async function runTransaction(client: pg.Client, statements: readonly Statement[]): Promise<pg.QueryResult[]> {
  const { stream } = (client as unknown as Corkable).connection;
  stream.cork?.();
  const answers = [begin, ...statements, commit].map((statement) =>
    client.query(arrayQuery(statement) as unknown as pg.QueryConfig),
  );
  stream.uncork?.();
  const settled = await Promise.allSettled(answers);
  const failed = settled.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
  if (failed.length > 0) {
    // the first failure is the cause; the statements behind it only say that the transaction is over
    throw storageError(failed.find((error) => sqlState(error) !== transactionAborted) ?? failed[0]);
  }
  const results = settled.map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult>).value);
  const last = results.at(-1) as pg.QueryResult;
  if (last.command !== 'COMMIT') throw new StorageError('invalid', `commit ended as ${last.command}`);
  return results;
}

interface Session {
  readonly client: pg.Client;
  /** Process number of the session in the server. */
  readonly backend: number;
  broken: boolean;
}

/**
 * Makes a writer; it connects at its first transaction and again when its connection broke.
 *
 * Before it connects again it has the old session ended and waits until it is gone: only then is it decided whether the
 * last transaction was committed, and only then may anybody read what it may have changed.
 */
export function makeWriter(options: WriterOptions): Writer {
  let session: Session | undefined;

  const open = async (): Promise<Session> => {
    const client = options.makeClient(writerConfig(options.url));
    const made: Session = { client, backend: 0, broken: false };
    client.on('error', () => {
      made.broken = true;
    });
    await client.connect();
    // said once more in the session: options in the address would replace those of the configuration
    await client.query(`SET synchronous_commit = ${options.waitsForDisk === false ? 'off' : 'on'}`);
    const [row] = await rowsOf<[number]>(client, { text: 'SELECT pg_backend_pid()', values: [] });
    return Object.assign(made, { backend: row?.[0] ?? 0 });
  };

  /** Ends the old session in the server and connects anew. */
  const reopen = async (old: Session): Promise<Session> => {
    old.client.end().catch(() => {});
    const fresh = await open();
    const ask = (text: string) => rowsOf<[number]>(fresh.client, { text, values: [old.backend] });
    const end = performance.now() + statementMsMax;
    await ask('SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = $1');
    while ((await ask('SELECT pid FROM pg_stat_activity WHERE pid = $1')).length > 0) {
      if (performance.now() > end) throw new StorageError('unavailable', 'an old session does not end');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return fresh;
  };

  const ready = async (): Promise<Session> => {
    try {
      if (session === undefined) session = await open();
      else if (session.broken) session = await reopen(session);
      return session;
    } catch (error) {
      throw storageError(error);
    }
  };

  return {
    run: async (statements) => {
      const used = await ready();
      try {
        const results = await runTransaction(used.client, [expectLease(options.lease), ...statements]);
        // without those of BEGIN, the lease and COMMIT
        return results.slice(2, -1).map(({ rows }) => rows as unknown[][]);
      } catch (error) {
        const failure = storageError(error);
        if (failure.code === 'unavailable') {
          used.broken = true;
          // the caller learns of the failure when its outcome is settled; if that fails too, the next run tries again
          await ready().catch(() => {});
        }
        throw failure;
      }
    },
    end: async () => {
      await session?.client.end().catch(() => {});
    },
  };
}
