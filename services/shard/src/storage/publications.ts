/**
 * Tables `publication_due` and `publication`. They are written over a connection of their own, which is opened when the first
 * publication comes, one transaction after the other, under the shard's lease and down to the disk.
 */
import { publicationCatalog } from '@meshd/schema/container-name';
import { makeClient, rowsOf, type Statement } from './database.js';
import type { PublicationTables } from './hailing-store.js';
import type { Parts } from './reader.js';
import * as sql from './sql/hailing.js';
import { makeWriter } from './writer.js';

/** The tables, and the connection to them. */
export interface PublicationConnection {
  readonly tables: PublicationTables;
  end(): Promise<void>;
}

/** Connects at the first statement that writes. */
export function openPublications({ options, lease, pool }: Parts): PublicationConnection {
  const writer = makeWriter({ url: options.url, lease, makeClient: options.makeClient ?? makeClient });
  let last: Promise<unknown> = Promise.resolve();
  const write = (statement: Statement): Promise<readonly unknown[][]> => {
    const turn = last.then(async () => {
      lease.expectHeld();
      const [rows = []] = await writer.run([statement]);
      return rows;
    });
    last = turn.catch(() => {});
    return turn;
  };

  const tables: PublicationTables = {
    lease: async (countMax, leaseMs) => {
      const nowMs = options.now();
      // Asked for every second: in nearly all of them there is nothing, and nothing is to be written.
      if ((await rowsOf(pool, sql.selectDue(nowMs))).length === 0) return [];
      const rows = await write(sql.leaseDue(publicationCatalog, nowMs, nowMs + leaseMs, countMax));
      return (rows as unknown as sql.DueRow[]).map(([identifier, account, changedAtMs, payload]) => {
        return { identifier, account, changedAtMs, payload: payload ?? undefined };
      });
    },
    settle: async (states) => {
      if (states.length > 0) await write(sql.settleDue(states));
    },
    put: async (state) => (await write(sql.upsertPublication(state))).length > 0,
    find: async (identifier) => (await rowsOf<[Buffer]>(pool, sql.selectPublication(identifier)))[0]?.[0],
  };
  return { tables, end: () => last.then(() => writer.end()) };
}
