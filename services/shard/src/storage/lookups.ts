/** Look-ups of single keys, gathered: those that wait at the same moment go to the database in one statement. */
import { lookupKeysMax } from '@meshd/limits/limits';
import { type Queryable, rowsOf, type Statement, storageError } from './database.js';
import type { Row } from './sql/multi-row.js';

/** What {@link makeLookups} needs. */
export interface LookupShape<Found extends readonly unknown[]> {
  readonly on: Queryable;
  /** Statement that finds the rows of some keys. */
  readonly statement: (keys: readonly Row[]) => Statement;
  /** The same text for a key and for the row found for it. */
  readonly keyOf: (key: Row) => string;
  readonly keyOfFound: (found: Found) => string;
}

/** Finds the row of a key, if there is one. */
export type Lookup<Found> = (key: Row) => Promise<Found | undefined>;

interface Waiting<Found> {
  readonly key: Row;
  readonly resolve: (found: Found | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** Statements in flight at a time; more only makes smaller ones. */
const flightsMax = 2;

/** Makes a look-up that gathers. */
export function makeLookups<Found extends readonly unknown[]>(shape: LookupShape<Found>): Lookup<Found> {
  let waiting: Waiting<Found>[] = [];
  let flights = 0;
  let woken = false;

  const fly = async (batch: readonly Waiting<Found>[]): Promise<void> => {
    flights += 1;
    try {
      const rows = await rowsOf<Found>(shape.on, shape.statement(batch.map(({ key }) => key)));
      const found = new Map(rows.map((row) => [shape.keyOfFound(row), row]));
      for (const { key, resolve } of batch) resolve(found.get(shape.keyOf(key)));
    } catch (error) {
      for (const { reject } of batch) reject(storageError(error));
    } finally {
      flights -= 1;
      start();
    }
  };
  const start = (): void => {
    while (flights < flightsMax && waiting.length > 0) {
      const batch = waiting.slice(0, lookupKeysMax);
      waiting = waiting.slice(lookupKeysMax);
      void fly(batch);
    }
  };
  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      if (woken) return;
      woken = true;
      setImmediate(() => {
        woken = false;
        start();
      });
    });
}
