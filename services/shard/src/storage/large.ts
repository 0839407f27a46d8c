/**
 * Tables `large_file` and `large_slice`. Slices are written over a connection of their own, one transaction after the other,
 * under the shard's lease and down to the disk like all else; what waits is bounded in octets, and for each account, so that
 * a file of any size takes no more memory than some slices.
 */
import { constantTimeEqual } from '@meshd/crypto/digest';
import {
  largeFilesPerAccountMax,
  largeUnfinishedMs,
  largeWriteBytesWaitingMax,
  largeWritesPerAccountMax,
} from '@meshd/limits/large';
import { copyRows } from './binary-copy.js';
import { makeClient, rowsOf, type Statement } from './database.js';
import { StorageError } from './errors.js';
import type { LargeTables } from './large-store.js';
import type { Parts } from './reader.js';
import * as large from './sql/large.js';
import { makeWriter } from './writer.js';

/** The tables, and the connection to them. */
export interface LargeConnection {
  readonly tables: LargeTables;
  end(): Promise<void>;
}

/** What waits to be written, within its bounds. */
class Waiting {
  #bytes = 0;
  readonly #accounts = new Map<number, number>();

  /** @returns what is to be called when the write has ended. @throws StorageError `overloaded` */
  enter(accountId: number, bytes: number): () => void {
    const ofAccount = this.#accounts.get(accountId) ?? 0;
    if (this.#bytes + bytes > largeWriteBytesWaitingMax || ofAccount >= largeWritesPerAccountMax) {
      const resource = 'slices waiting to be written';
      throw new StorageError('overloaded', `too many: ${resource}`, { resource });
    }
    this.#bytes += bytes;
    this.#accounts.set(accountId, ofAccount + 1);
    return () => {
      this.#bytes -= bytes;
      const left = (this.#accounts.get(accountId) ?? 1) - 1;
      if (left === 0) this.#accounts.delete(accountId);
      else this.#accounts.set(accountId, left);
    };
  }
}

/** Connects at the first statement. */
export function openLarge({ options, lease, pool, numbers }: Parts): LargeConnection {
  const writer = makeWriter({ url: options.url, lease, makeClient: options.makeClient ?? makeClient });
  const waiting = new Waiting();
  let last: Promise<unknown> = Promise.resolve();
  const write = async (accountId: number, bytes: number, ...statements: Statement[]) => {
    const leave = waiting.enter(accountId, bytes);
    const turn = last.then(() => {
      lease.expectHeld();
      return writer.run(statements);
    });
    last = turn.catch(() => {}).finally(leave);
    return turn;
  };

  const tables: LargeTables = {
    begin: async (accountId, begin, bytesMax) => {
      const expiresAtMs = options.now() + largeUnfinishedMs;
      const bounds = { expiresAtMs, filesMax: largeFilesPerAccountMax, bytesMax };
      const [, rows = []] = await write(
        ...[accountId, 0],
        large.insertLarge(await numbers.reserve(1), accountId, begin, bounds),
        large.selectLarge(accountId, begin.identifier),
      );
      const row = rows[0] as unknown as large.LargeSelectRow | undefined;
      return row === undefined ? undefined : { ...large.largeOfRow(row), reader: row[4] };
    },
    append: async (accountId, identifier, offset, data) => {
      const nowMs = options.now();
      const [, rows = []] = await write(
        ...[accountId, data.length],
        large.appendSlice(
          { accountId, identifier },
          { offset, data },
          { nowMs, unfinishedUntilMs: nowMs + largeUnfinishedMs },
        ),
        large.selectLarge(accountId, identifier),
      );
      const file = rows.map((row) => large.largeOfRow(row as unknown as large.LargeSelectRow))[0];
      return file !== undefined && file.expiresAtMs > nowMs ? file : undefined;
    },
    withdraw: async (accountId, identifier) => {
      await write(accountId, 0, large.endLarge(accountId, identifier));
    },
    list: async (accountId) =>
      (await rowsOf<large.LargeSelectRow>(pool, large.selectLargeFiles(accountId))).map(large.largeOfRow),
    read: async ({ address, identifier, reader, offset, bytesMax }) => {
      const found = large.selectFetchable(address, identifier, options.now());
      const [row] = await rowsOf<[number, number, Buffer]>(pool, found);
      if (row === undefined || !constantTimeEqual(row[2], reader) || offset >= row[1]) return undefined;
      const [fileId, bytesTotal] = row;
      const [[data] = []] = await copyRows(pool, large.selectSliceAt({ fileId, offset, bytesMax }));
      // Freed between the two looks.
      return data === undefined || data === null || data.length === 0 ? undefined : { bytesTotal, data };
    },
  };
  return { tables, end: () => last.then(() => writer.end()) };
}
