import { completingLeaf } from '@meshd/dare/log-proof';
import { AccountWatches } from '../storage/account-watches.js';
import { afterChanges } from '../storage/connection-rows.js';
import type { ErasureStep, PendingErasure } from '../storage/erasure-store.js';
import type { OfferRow, PublicationTables } from '../storage/hailing-store.js';
import type { LargeTables } from '../storage/large-store.js';
import type { ContactChange, MessageSeen } from '../storage/message-rows.js';
import type { OutboxInsert, OutboxTables } from '../storage/outbox-store.js';
import {
  type AccountFields,
  type AccountReader,
  type AccountState,
  type AccountTransactor,
  type AccountWrite,
  type CatalogKey,
  type ContainerAppend,
  type ContainerState,
  type ContainerWrite,
  type FrameRow,
  type FrameSelection,
  frameBytes,
  keyText,
  type NameState,
  type Seen,
  type Store,
  serviceAddress,
} from '../storage/store.js';

/** A stored frame with the nodes that it completes. */
type MemoryFrame = FrameRow & { readonly nodes: Uint8Array };

interface MemoryContainer {
  state: ContainerState;
  readonly frames: MemoryFrame[];
  readonly keys: Map<string, CatalogKey>;
}

interface MemoryAccount {
  state: AccountState;
  readonly containers: Map<string, MemoryContainer>;
}

/** A store that keeps everything in memory and forgets it with the process. One caller at a time. */
export class MemoryStore implements Store {
  readonly epoch = 1;
  readonly seen = new Map<string, Seen>();
  /** Rows for messages to others, whatever became of them. */
  readonly outboxRows: OutboxInsert[] = [];
  /** Offers of connection, whatever became of them. */
  readonly offers: (OfferRow & { readonly address: string })[] = [];
  /** Keys of publications that changed, in order. */
  readonly published: string[] = [];
  /** Bodies that are to be removed. */
  pendingErasures: PendingErasure[] = [];
  /** Writes committed so far. */
  commitCount = 0;
  readonly #accounts = new Map<string, MemoryAccount>();
  readonly #quarantine = new Map<string, number>();
  readonly #now: () => number;
  readonly #watches = new AccountWatches();
  readonly #messages = new Map<string, MessageSeen>();
  readonly #contacts = new Map<string, ContactChange>();
  #numbers = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  async readAccount<T>(address: string, read: (reader: AccountReader) => Promise<T> | T): Promise<T> {
    return read(this.#readerOf(address));
  }

  /** Nothing is read to look somebody up. */
  async approachAccount(): Promise<void> {}

  async transactAccount<T>(address: string, transact: (transactor: AccountTransactor) => Promise<T> | T): Promise<T> {
    const store = this;
    const transactor: AccountTransactor = {
      ...this.#readerOf(address),
      get state() {
        return store.#accounts.get(address)?.state;
      },
      commit: async (write) => {
        this.#commit(address, write);
        this.#watches.tell(address);
      },
    };
    return transact(transactor);
  }

  /** Leases and states of destinations are the database's work. */
  get outbox(): OutboxTables {
    throw new Error('no outbox in memory');
  }

  /** So is what is published. */
  get publications(): PublicationTables {
    throw new Error('no publications in memory');
  }

  /** So are large files. */
  get large(): LargeTables {
    throw new Error('no large files in memory');
  }

  async erasures(after: PendingErasure | undefined): Promise<readonly PendingErasure[]> {
    return after === undefined ? [...this.pendingErasures] : [];
  }

  watchAccount(address: string, listener: () => void): () => void {
    return this.#watches.add(address, listener);
  }

  async ensureService(
    make: () => { readonly fields: AccountFields; readonly containers: readonly ContainerWrite[] },
  ): Promise<void> {
    if (this.#accounts.has(serviceAddress)) return;
    const { fields, containers } = make();
    this.#commit(serviceAddress, { create: fields, containers });
  }

  /** The committed state of an account. */
  stateOf(address: string): AccountState | undefined {
    return this.#accounts.get(address)?.state;
  }

  /** All frames of a container. */
  framesOf(address: string, container: string): readonly FrameRow[] {
    return this.#accounts.get(address)?.containers.get(container)?.frames ?? [];
  }

  problems(): readonly string[] {
    return [];
  }

  async sweep(): Promise<void> {}

  async stop(): Promise<void> {}

  #readerOf(address: string): AccountReader {
    const account = () => this.#accounts.get(address);
    const name: NameState = { quarantinedUntilMs: this.#quarantine.get(address) ?? null };
    const framesOf = (container: ContainerState) => account()?.containers.get(container.name)?.frames ?? [];
    return {
      address,
      state: account()?.state,
      name,
      async catalogKeys(container, uniqueIds) {
        const keys = account()?.containers.get(container.name)?.keys ?? new Map<string, CatalogKey>();
        return new Map([...keys].filter(([id]) => uniqueIds.includes(id)));
      },
      async liveKeyCount(container) {
        const keys = account()?.containers.get(container.name)?.keys ?? new Map<string, CatalogKey>();
        return [...keys.values()].filter(({ deleted }) => !deleted).length;
      },
      waitingOffers: async (deviceUdf) => {
        const waiting = this.offers.filter((row) => row.address === address && row.expiresAtMs > this.#now());
        const own = waiting.filter((row) => row.deviceUdf === deviceUdf);
        return { frameIndexes: own.map(({ frameIndex }) => frameIndex), count: waiting.length };
      },
      frames: (container, selection) => {
        const keys = account()?.containers.get(container.name)?.keys ?? new Map<string, CatalogKey>();
        return chunks(selectRows(framesOf(container), selection, keys));
      },
      async frameSlice(container, index, { offset, bytes }) {
        const row = framesOf(container)[index];
        return row && { ...row, payload: row.payload?.subarray(offset, offset + bytes) ?? null };
      },
      async logNodes(container) {
        const frames = framesOf(container);
        return (name) => {
          const frame = frames[completingLeaf(name)];
          return name.level === 0 ? frame?.leaf : frame?.nodes.subarray((name.level - 1) * 32, name.level * 32);
        };
      },
      findSeen: async (principal, id) => this.seen.get(seenKey(principal, id)),
      findMessageSeen: async (identity) => this.#messages.get(messageKey(address, identity)),
      contactRules: async (person) => {
        const own = [...this.#contacts].filter(([key]) => key.startsWith(`${address} `));
        return own.flatMap(([, { rule }]) => {
          const isMeant = rule?.accountUdf === person.accountUdf || rule?.address === person.address;
          return rule !== undefined && isMeant ? [rule] : [];
        });
      },
    };
  }

  #commit(address: string, write: AccountWrite): void {
    const existing = this.#accounts.get(address);
    if (write.create !== undefined) {
      if (existing !== undefined) throw new Error('account exists');
      this.#accounts.set(address, { state: this.#emptyState(address, write.create), containers: new Map() });
    }
    const account = this.#accounts.get(address);
    for (const container of write.containers ?? []) this.#write(account as MemoryAccount, container);
    for (const { container, frameIndex } of write.erasures ?? []) this.#noteErasure(address, container, frameIndex);
    if (write.erased !== undefined) this.#erase(address, write.erased);
    for (const { container, make } of write.service ?? []) {
      const stored = this.#accounts.get(serviceAddress)?.containers.get(container);
      if (stored === undefined) throw new Error('no service account');
      this.#append(stored, make(stored.state));
    }
    if (account !== undefined) this.#update(account, write);
    if (write.remove) {
      this.#accounts.delete(address);
      this.#quarantine.set(address, this.#now() + 1_000_000);
    }
    for (const message of write.messagesSeen ?? []) {
      this.#messages.set(messageKey(address, message.identity), message);
    }
    for (const change of write.contacts ?? []) this.#contacts.set(`${address} ${change.uniqueId}`, change);
    if (write.seen !== undefined) this.seen.set(seenKey(write.seen.principal, write.seen.id), write.seen);
    this.outboxRows.push(...(write.outbox ?? []));
    this.offers.push(...(write.offers ?? []).map((row) => ({ ...row, address })));
    this.published.push(...(write.publications ?? []));
    this.commitCount += 1;
  }

  #emptyState(address: string, fields: AccountFields): AccountState {
    this.#numbers += 1;
    return {
      ...fields,
      id: this.#numbers,
      address,
      createdAtMs: this.#now(),
      containers: new Map(),
      devices: new Map(),
      connections: new Map(),
      revokedKeys: new Set(),
      deviceCatalogBegun: false,
      bytesUsed: 0,
      frameCount: 0,
    };
  }

  #write(account: MemoryAccount, write: ContainerWrite): void {
    let container = account.containers.get(write.name);
    if ((container?.state.frameCount ?? 0) !== write.expectedFrameCount) throw new Error('stale');
    if (container === undefined) {
      if (write.open === undefined) throw new Error('no such container');
      this.#numbers += 1;
      const state: ContainerState = {
        ...write.open,
        id: this.#numbers,
        name: write.name,
        frameCount: 0,
        dareTree: new Uint8Array(8),
        logTree: new Uint8Array(8),
        manifestFrom: 0,
        bytesUsed: 0,
        damaged: false,
      };
      container = { state, frames: [], keys: new Map() };
      account.containers.set(write.name, container);
    }
    this.#append(container, write);
  }

  #append(container: MemoryContainer, append: ContainerAppend): void {
    for (const frame of append.frames) {
      container.frames.push({
        ...frame,
        index: container.frames.length,
        storedAtMs: this.#now(),
        payloadBytes: frame.payload?.length ?? 0,
        uniqueId: frame.uniqueId ?? null,
        event: frame.event ?? null,
        filtered: false,
      });
    }
    for (const key of append.keys) container.keys.set(key.uniqueId, key);
    const { dareTree, logTree, manifestFrom } = append;
    const bytesUsed = container.frames.reduce((sum, frame) => sum + frameBytes(frame), 0);
    const frameCount = container.frames.length;
    container.state = { ...container.state, dareTree, logTree, manifestFrom, frameCount, bytesUsed };
  }

  #noteErasure(address: string, container: string, frameIndex: number): void {
    const containerId = this.#accounts.get(address)?.containers.get(container)?.state.id ?? 0;
    this.pendingErasures.push({ address, container, containerId, frameIndex });
  }

  #erase(address: string, { erasure, frames, next }: ErasureStep): void {
    const container = this.#accounts.get(address)?.containers.get(erasure.container);
    if (container === undefined) throw new Error('no such container');
    for (const { frameIndex, header } of frames) {
      const frame = container.frames[frameIndex] as MemoryFrame;
      container.frames[frameIndex] = { ...frame, header, payload: null, payloadBytes: 0 };
    }
    const bytesFreed = frames.reduce((sum, frame) => sum + frame.bytesFreed, 0);
    container.state = { ...container.state, bytesUsed: container.state.bytesUsed - bytesFreed };
    const isOther = (each: PendingErasure) =>
      each.containerId !== container.state.id || each.frameIndex !== erasure.frameIndex;
    this.pendingErasures = this.pendingErasures.filter(isOther);
    if (next !== undefined) this.#noteErasure(address, erasure.container, next);
  }

  #update(account: MemoryAccount, write: AccountWrite): void {
    const containers = new Map([...account.containers].map(([name, { state }]) => [name, state]));
    const devices = new Map(account.state.devices);
    for (const row of write.devices ?? []) devices.set(row.deviceUdf, row);
    const sum = (of: (state: ContainerState) => number) => [...containers.values()].reduce((all, c) => all + of(c), 0);
    account.state = {
      ...account.state,
      ...write.replace,
      containers,
      devices,
      connections: afterChanges(account.state.connections, write.connections),
      revokedKeys: new Set([...account.state.revokedKeys, ...(write.revokedKeys ?? []).map(keyText)]),
      deviceCatalogBegun: account.state.deviceCatalogBegun || write.deviceCatalogBegun === true,
      bytesUsed: sum((container) => container.bytesUsed),
      frameCount: sum((container) => container.frameCount),
    };
  }
}

function messageKey(recipient: string, identity: Uint8Array): string {
  return `${recipient} ${Buffer.from(identity).toString('hex')}`;
}

function seenKey(principal: string, id: Uint8Array): string {
  return `${principal} ${Buffer.from(id).toString('hex')}`;
}

function selectRows(
  rows: readonly FrameRow[],
  selection: FrameSelection,
  keys: ReadonlyMap<string, CatalogKey>,
): FrameRow[] {
  const { from, to, notBeforeMs = 0, beforeMs = Number.POSITIVE_INFINITY, framesMax = rows.length } = selection;
  return rows
    .filter(
      ({ index, storedAtMs }) => index >= from && index <= to && storedAtMs >= notBeforeMs && storedAtMs < beforeMs,
    )
    .slice(0, framesMax)
    .map((row) => {
      const filtered = isFiltered(row, selection, keys);
      return {
        ...row,
        filtered,
        payload: selection.payload === false || filtered ? null : row.payload,
        trailer: selection.trailer === false ? null : row.trailer,
      };
    });
}

function isFiltered(row: FrameRow, { filter }: FrameSelection, keys: ReadonlyMap<string, CatalogKey>): boolean {
  if (filter === undefined || row.payloadBytes === 0) return false;
  if (row.storedAtMs < (filter.olderThanMs ?? 0)) return true;
  const key = row.uniqueId === null ? undefined : keys.get(row.uniqueId);
  if (key === undefined) return false;
  return (
    (filter.superseded && row.index < key.latestIndex) ||
    (filter.deleted && (row.index < key.firstIndex || key.deleted || key.mark === 'deleted')) ||
    (filter.read && key.mark === 'read')
  );
}

/** In chunks of two, so that more than one comes. */
async function* chunks(rows: readonly FrameRow[]): AsyncGenerator<readonly FrameRow[]> {
  for (let at = 0; at < rows.length; at += 2) yield rows.slice(at, at + 2);
}
