/**
 * Connections to Postgres as the storage wants them: rows as arrays of typed values, errors as {@link StorageError}, plans
 * by index only.
 */
import { statementMsMax, transactionMsMax } from '@meshd/limits/limits';
import pg from 'pg';
import { StorageError } from './errors.js';

/** One statement. With a name it is prepared once a connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Makes a client; tests pass one that fails where they want. */
export type ClientMaker = (config: pg.ClientConfig) => pg.Client;

/** The client everybody gets. */
export const makeClient: ClientMaker = (config) => new pg.Client(config);

/*
 * Every hot statement reaches its rows by primary key. Their plans are made once, perhaps while a table is still nearly
 * empty, and must not turn to scanning it when it has grown: so the other ways are made dear for these sessions.
 */
const indexOnly =
  '-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off ' +
  '-c plan_cache_mode=force_generic_plan';

/** Settings of a connection that writes: durable whatever the server's default is, and never left open in a transaction. */
export function writerConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'meshd shard writer',
    options: `-c synchronous_commit=on ${indexOnly}`,
    pipeline: true,
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: transactionMsMax,
    keepAlive: true,
  };
}

/** Settings of a connection that reads. */
export function readerConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'meshd shard reader',
    options: `-c default_transaction_read_only=on ${indexOnly}`,
    statement_timeout: statementMsMax,
    keepAlive: true,
  };
}

/** Settings of a connection for the lease and for what is swept up. */
export function keeperConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'meshd shard keeper',
    options: '-c synchronous_commit=on',
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: transactionMsMax,
    keepAlive: true,
  };
}

const int8 = 20;
const int4 = 23;
const bool = 16;
const bytea = 17;
const byteaArray = 1001;

type Parser = (text: string) => unknown;

/** `\x` and hexadecimal digits. */
const parseBytea: Parser = (text) => Buffer.from(text.slice(2), 'hex');

const parsers: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [int8, Number],
  [int4, Number],
  [bool, (text) => text === 't'],
  [bytea, parseBytea],
  [byteaArray, pg.types.getTypeParser(byteaArray as never, 'text')],
]);
const types = { getTypeParser: (oid: number) => parsers.get(oid) ?? String };

/** Anything that takes a query: a client or a pool. */
export interface Queryable {
  query(config: pg.QueryConfig): Promise<pg.QueryResult>;
}

/** A statement for the driver, its rows as arrays of typed values: options that the driver's types do not name. */
export function arrayQuery(statement: Statement) {
  return { ...statement, values: [...statement.values], rowMode: 'array', types };
}

/**
 * Runs one statement and returns its rows as arrays of values in the order of its columns.
 *
 * @throws StorageError
 */
export async function rowsOf<Row extends readonly unknown[]>(on: Queryable, statement: Statement): Promise<Row[]> {
  try {
    return (await on.query(arrayQuery(statement) as unknown as pg.QueryConfig)).rows as Row[];
  } catch (error) {
    throw storageError(error);
  }
}

const leaseLost = 'MD001';
const uniqueViolation = '23505';
/** The comparison of frame counts failed, see `moveHeads`. */
const notNullViolation = '23502';
/** SQLSTATE classes that say: the server or the way to it, not the statement. */
const serverClasses = new Set(['08', '40', '53', '55', '57', '58', 'XX']);
const staleStates = new Set([uniqueViolation, notNullViolation, 'MD002', 'MD003']);
/** What follows in a transaction after its first failed statement. */
export const transactionAborted = '25P02';
/** The session was ended for leaving its transaction open. */
const idleInTransaction = '25P03';

/** SQLSTATE of an error of the server, else undefined. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Any error of the driver or the server, in the terms of the storage. */
export function storageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  if (state === undefined || state === idleInTransaction || serverClasses.has(state.slice(0, 2))) {
    return new StorageError('unavailable', `database: ${message}`, { cause: error });
  }
  if (state === leaseLost) return new StorageError('lease-lost', message, { cause: error });
  if (staleStates.has(state)) return new StorageError('stale', message, { cause: error });
  return new StorageError('invalid', `database refused the write: ${message}`, { cause: error });
}
