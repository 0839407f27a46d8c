/**
 * Tables `outbox` and `destination`. Leases, charges and states are written over a connection of their own, one
 * transaction after the other for all that wait, under the shard's lease like all else that is written; they need not wait
 * for the disk: a lease that a power cut takes back is given again, and what was sent twice is filed once.
 */
import { hash } from 'node:crypto';
import { lanesPerDestination } from '@meshd/limits/limits';
import { copyRows } from './binary-copy.js';
import { makeClient, rowsOf, type Statement } from './database.js';
import { StorageError } from './errors.js';
import { placeText, type WholeMessage } from './fresh-messages.js';
import { gatherWrites } from './gathered-writes.js';
import { makeLookups } from './lookups.js';
import type { LaneRest, LeasedRow, OutboxRow, OutboxTables } from './outbox-store.js';
import type { Parts } from './reader.js';
import * as destination from './sql/destination.js';
import * as outbox from './sql/outbox.js';
import { makeWriter } from './writer.js';

/** The tables, and the connection to them. */
export interface OutboxConnection {
  readonly tables: OutboxTables;
  end(): Promise<void>;
}

/** Connects at the first statement. */
export function openOutbox({ options, lease, pool, fresh }: Parts): OutboxConnection {
  const writer = makeWriter({
    ...{ url: options.url, lease, makeClient: options.makeClient ?? makeClient, waitsForDisk: false },
  });
  const { write, idle } = gatherWrites(writer, () => lease.expectHeld());
  const byId = makeLookups<outbox.OutboxSelectRow>({
    on: pool,
    statement: (keys) => outbox.selectById(keys.map(([id]) => id as number)),
    keyOf: ([id]) => String(id),
    keyOfFound: ([id]) => String(id),
  });
  const select = async (statement: Statement) =>
    (await rowsOf<outbox.OutboxSelectRow>(pool, statement)).map(outbox.rowOf);

  const withMessages = async (rows: readonly unknown[][]): Promise<LeasedRow[]> => {
    const leased = rows
      .map((row) => outbox.rowOf(row as unknown as outbox.OutboxSelectRow))
      .sort((a, b) => a.id - b.id);
    const found = leased.map((row) => fresh.take(row));
    const stored = await readMessages(leased.filter((_, at) => found[at] === undefined));
    return leased.map((row, at) => ({ ...row, ...(found[at] ?? wholeMessage(stored.get(placeText(row)))) }));
  };
  const readMessages = async (rows: readonly OutboxRow[]): Promise<ReadonlyMap<string, outbox.MessageFrame>> => {
    if (rows.length === 0) return new Map();
    const places = new Map(rows.map((row) => [placeText(row), row]));
    const found = (await copyRows(pool, outbox.selectMessages([...places.values()]))).map(outbox.messageOfRow);
    return new Map(found.map((message) => [placeText(message), message]));
  };

  const tables: OutboxTables = {
    lease: async (wish) => {
      const [rows = [], rest = []] = await write(outbox.leaseRows(wish), outbox.selectLaneRest(wish, wish.nowMs));
      return { rows: await withMessages(rows), rest: restOf(rest[0]) };
    },
    giveBack: async (owner, rows) => {
      if (rows.length === 0) return;
      const failures = rows.map(({ failure }) => failure ?? null);
      await write(
        outbox.giveBackRows(
          owner,
          rows.map(({ id }) => id),
          failures,
        ),
      );
    },
    laneRest: async (lane, nowMs) => restOf((await rowsOf(pool, outbox.selectLaneRest(lane, nowMs)))[0]),
    rowsOf: async (ids) => {
      const found = await Promise.all([...new Set(ids)].sort((a, b) => a - b).map((id) => byId([id])));
      return found.flatMap((row) => (row === undefined ? [] : [outbox.rowOf(row)]));
    },
    rows: async (choice, rowsMax) => {
      if ('expiredMs' in choice) return select(outbox.selectExpired(choice.expiredMs, rowsMax));
      return select(outbox.selectOfDomain(choice.domain, choice.nowMs, rowsMax));
    },
    waiting: async (choice, rowsMax) => {
      const statement = outbox.selectWaiting(choice, lanesPerDestination, rowsMax);
      const rows = await rowsOf<[...outbox.OutboxSelectRow, boolean]>(pool, statement);
      return rows.map((row) => ({ ...outbox.rowOf(row as unknown as outbox.OutboxSelectRow), leased: row[12] }));
    },
    rowsOfFrames: (containerId, frameIndexes) => select(outbox.selectOfFrames(containerId, frameIndexes)),
    lanes: async (after, lanesMax) => {
      const rows = await rowsOf<[string, number, number]>(pool, outbox.selectLanes(after, lanesMax));
      return rows.map(([domain, lane, dueMs]) => ({ domain, lane, dueMs }));
    },
    lanesOf: async (domain) => {
      const rows = await rowsOf<[number]>(pool, outbox.selectLanesOf(domain, lanesPerDestination));
      return rows.map(([lane]) => lane);
    },
    destination: async (domain) => {
      const [row] = await rowsOf<destination.DestinationSelectRow>(pool, destination.selectDestination(domain));
      return row === undefined ? undefined : destination.destinationOfRow(row);
    },
    saveDestination: async (domain, state) => {
      await write(destination.upsertDestination(domain, state));
    },
    domains: async (after, domainsMax) =>
      (await rowsOf<[string]>(pool, outbox.selectDomains(after, domainsMax))).map(([domain]) => domain),
    count: async (domain, nowMs, agesMs) => {
      const [row = []] = await rowsOf<number[]>(pool, outbox.countRows(domain, nowMs, agesMs));
      const [rows = 0, leased = 0, oldestQueuedMs = 0, ...upTo] = row;
      return { domain, rows, leased, oldestQueuedMs, rowsByAge: differences([...upTo, rows]) };
    },
    forgetDestinations: async (beforeMs) => {
      await write(destination.deleteDestinations(beforeMs));
    },
  };
  return { tables, end: () => idle().then(() => writer.end()) };
}

function restOf(row: readonly unknown[] | undefined): LaneRest {
  const [free, leasedUntilMs] = row as [boolean, number | null];
  return { free, leasedUntilMs };
}

/** What was stored, or nothing: a worker must not send what it is not. */
function wholeMessage(message: outbox.MessageFrame | undefined): WholeMessage {
  if (message === undefined) throw new StorageError('invalid', 'a row of the outbox has no frame');
  const { envelope, payloadDigest } = message;
  if (envelope.payload !== null && !hash('sha512', envelope.payload, 'buffer').equals(payloadDigest)) {
    throw new StorageError('damaged', 'a message in the outbox does not have its digest');
  }
  return { frame: envelope, payloadDigest };
}

/** From counts up to each bound to counts between them. */
function differences(upTo: readonly number[]): number[] {
  return upTo.map((count, at) => count - (upTo[at - 1] ?? 0));
}
