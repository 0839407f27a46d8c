/**
 * Puts writes of different accounts that wait at the same moment into one database transaction: what gathered while the
 * last commit ran goes into the next. A commit costs a wait for the disk whatever it holds.
 *
 * Neighbours do not pay for each other: a transaction that the database refuses is cut in halves and tried again, until
 * the write at fault stands alone and the others are committed.
 */
import {
  coalescedAppendsMax,
  coalescedBytesMax,
  shardWriteBytesWaitingMax,
  shardWritesWaitingMax,
} from '@meshd/limits/limits';
import { addAppend, noRows, type WriteRows } from './apply-write.js';
import type { Statement } from './database.js';
import { concernsAll, StorageError } from './errors.js';
import { upsertKeys } from './sql/catalog-key.js';
import { headRow, insertContainers, moveHeads } from './sql/container.js';
import { insertFrames } from './sql/frame.js';
import { insertMessagesSeen } from './sql/message.js';
import { insertOutbox } from './sql/outbox.js';
import { insertSeen } from './sql/request-seen.js';
import type { ContainerState, ServiceAppend, ServiceContainer } from './store.js';
import type { Writer } from './writer.js';

/** A write on its way. */
export interface QueuedWrite {
  readonly rows: WriteRows;
  readonly service: readonly ServiceAppend[];
}

/** What a transaction did, for figures. */
export interface GroupReport {
  readonly writeCount: number;
  readonly frameCount: number;
  readonly durationMs: number;
}

/** What {@link makeCoalescer} needs. */
export interface CoalescerOptions {
  /** Entries for the service's stores go over the first alone, so that their containers are never waited for. */
  readonly writers: readonly Writer[];
  /** The service's stores as last committed. */
  readonly serviceContainer: (name: ServiceContainer) => ContainerState;
  /** Tells their state after a commit. */
  readonly serviceMoved: (containers: readonly ContainerState[]) => void;
  /** The service's stores may be other than we think: drop what is known. Awaited before the next transaction. */
  readonly serviceDoubtful: () => Promise<void>;
  readonly now: () => number;
  readonly onGroup?: (report: GroupReport) => void;
  /** A write was refused because another process holds the lease. */
  readonly onLeaseLost: (reason: string) => void;
}

/** The queue and its loops. */
export interface Coalescer {
  /**
   * Resolves when the write is committed.
   *
   * @throws StorageError
   */
  write(write: QueuedWrite): Promise<void>;
  /** Writes waiting or in work. */
  waitingCount(): number;
  /** Takes no more writes; resolves when those taken are done and the connections closed. */
  drain(): Promise<void>;
}

interface Item extends QueuedWrite {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
}

interface Group {
  readonly items: readonly Item[];
  readonly rows: WriteRows;
  readonly service: ReadonlyMap<string, ContainerState>;
}

function addRows(into: WriteRows, rows: WriteRows): void {
  into.first.push(...rows.first);
  into.opened.push(...rows.opened);
  into.moved.push(...rows.moved);
  into.frames.push(...rows.frames);
  into.keys.push(...rows.keys);
  into.seen.push(...rows.seen);
  into.messagesSeen.push(...rows.messagesSeen);
  into.outbox.push(...rows.outbox);
  into.last.push(...rows.last);
}

/** Frames come after the heads that they continue. */
function statementsOf(rows: WriteRows): Statement[] {
  return [
    ...rows.first,
    ...insertContainers(rows.opened),
    ...moveHeads(rows.moved),
    ...insertFrames(rows.frames),
    ...upsertKeys(rows.keys),
    ...rows.last,
    ...insertSeen(rows.seen),
    ...insertMessagesSeen(rows.messagesSeen),
    ...insertOutbox(rows.outbox),
  ];
}

/** Starts the loops; they run while there is work. */
export function makeCoalescer(options: CoalescerOptions): Coalescer {
  let waiting: Item[] = [];
  let waitingBytes = 0;
  let inWork = 0;
  let draining = false;
  let woken = false;
  const busy = options.writers.map(() => false);
  const idleWaiters: (() => void)[] = [];

  /** Takes the oldest writes that fit into one transaction; entries for the service wait for the first connection. */
  const takeGroup = (withService: boolean): Item[] => {
    const taken: Item[] = [];
    const left: Item[] = [];
    let bytes = 0;
    for (const [place, item] of waiting.entries()) {
      const fits = taken.length === 0 || bytes + item.bytes <= coalescedBytesMax;
      if (taken.length === coalescedAppendsMax || !fits) {
        left.push(...waiting.slice(place));
        break;
      }
      if (item.service.length > 0 && !withService) left.push(item);
      else {
        taken.push(item);
        bytes += item.bytes;
      }
    }
    waiting = left;
    return taken;
  };

  const finish = (item: Item, error?: StorageError): void => {
    waitingBytes -= item.bytes;
    inWork -= 1;
    if (error === undefined) item.resolve();
    else item.reject(error);
  };

  /** Makes the rows of the service's entries, one write after the other; a write whose entries fail is refused. */
  const buildGroup = (items: readonly Item[]): Group => {
    const rows = noRows();
    const service = new Map<string, ContainerState>();
    const accepted: Item[] = [];
    const nowMs = options.now();
    for (const item of items) {
      const added = noRows();
      const moved = new Map<string, ContainerState>();
      try {
        for (const { container, make } of item.service) {
          const before = moved.get(container) ?? service.get(container) ?? options.serviceContainer(container);
          moved.set(container, addAppend(added, before, make(before), nowMs));
        }
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const failure = error instanceof StorageError ? error : new StorageError('invalid', message, { cause: error });
        finish(item, failure);
        continue;
      }
      for (const [name, state] of moved) service.set(name, state);
      addRows(rows, item.rows);
      addRows(rows, added);
      accepted.push(item);
    }
    for (const [name, state] of service) {
      rows.moved.push(headRow(options.serviceContainer(name as ServiceContainer).frameCount, state));
    }
    return { items: accepted, rows: service.size > 0 ? { ...rows, keys: lastOfEachKey(rows) } : rows, service };
  };

  const runGroup = async (writer: Writer, items: readonly Item[]): Promise<void> => {
    const group = buildGroup(items);
    if (group.items.length === 0) return;
    const start = performance.now();
    try {
      await writer.run(statementsOf(group.rows));
    } catch (error) {
      await afterFailure(writer, group, error as StorageError);
      return;
    }
    if (group.service.size > 0) options.serviceMoved([...group.service.values()]);
    const durationMs = performance.now() - start;
    options.onGroup?.({ writeCount: group.items.length, frameCount: group.rows.frames.length, durationMs });
    for (const item of group.items) finish(item);
  };

  const afterFailure = async (writer: Writer, group: Group, error: StorageError): Promise<void> => {
    const { items } = group;
    if (error.code === 'lease-lost') options.onLeaseLost(error.message);
    const alone = items.length === 1;
    if (group.service.size > 0 && (alone || concernsAll(error))) await options.serviceDoubtful();
    if (alone || concernsAll(error)) {
      for (const item of items) finish(item, error);
      return;
    }
    const half = Math.ceil(items.length / 2);
    await runGroup(writer, items.slice(0, half));
    await runGroup(writer, items.slice(half));
  };

  const pump = async (place: number): Promise<void> => {
    if (busy[place]) return;
    busy[place] = true;
    try {
      for (;;) {
        const group = takeGroup(place === 0);
        if (group.length === 0) break;
        await runGroup(options.writers[place] as Writer, group);
      }
    } finally {
      busy[place] = false;
      if (inWork === 0) for (const resolve of idleWaiters.splice(0)) resolve();
    }
  };

  /** Starts the loops once this turn of the event loop is over, so that its writes go together. */
  const wake = (): void => {
    if (woken) return;
    woken = true;
    setImmediate(() => {
      woken = false;
      for (const place of options.writers.keys()) void pump(place);
    });
  };

  const enqueue = (write: QueuedWrite): Promise<void> => {
    if (draining) throw new StorageError('closed', 'the shard is stopping');
    const { bytes } = write.rows;
    if (inWork >= shardWritesWaitingMax) throw overloaded('writes waiting at the shard');
    if (waitingBytes + bytes > shardWriteBytesWaitingMax) throw overloaded('octets waiting to be written at the shard');
    waitingBytes += bytes;
    inWork += 1;
    return new Promise((resolve, reject) => {
      waiting.push({ ...write, bytes, resolve, reject });
      wake();
    });
  };

  return {
    write: async (write) => enqueue(write),
    waitingCount: () => inWork,
    drain: async () => {
      draining = true;
      if (inWork > 0) await new Promise<void>((resolve) => idleWaiters.push(resolve));
      for (const writer of options.writers) await writer.end();
    },
  };
}

function overloaded(resource: string): StorageError {
  return new StorageError('overloaded', `too many: ${resource}`, { resource });
}

/** Several entries of one transaction may concern the same key of a service's store; one statement takes each key once. */
function lastOfEachKey(rows: WriteRows): WriteRows['keys'] {
  const byKey = new Map<string, WriteRows['keys'][number]>();
  for (const row of rows.keys) byKey.set(`${row[0]}/${(row[1] as Buffer).toString('latin1')}`, row);
  return byKey.size === rows.keys.length ? rows.keys : [...byKey.values()];
}
