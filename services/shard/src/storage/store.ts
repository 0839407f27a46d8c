/**
 * What the shard's transactions may ask of its storage: types only, the bodies stand in `open-store.ts`.
 *
 * The storage knows accounts, containers and rows; it knows neither Mesh JSON nor signatures nor tree arithmetic. Tree
 * states and nodes travel through it as octets (`encodeTree`, `encodeEdge` and `appendLeafKeeping` of the DARE package).
 *
 * Two capabilities exist. A reader sees one account as last committed and has no method that writes. A transactor is
 * the only writer of its account for as long as its function runs, so what it read stays true until its commit.
 */

import type { NodeLookup, NodeName } from '@meshd/dare/log-proof';
import type { AccountAway, AccountStatus } from './account-status.js';
import type { ConnectionChange, ConnectionRow } from './connection-rows.js';
import type { DeviceRow } from './device-rows.js';
import type { Erasure, ErasureStep, PendingErasure } from './erasure-store.js';
import type { OfferRow, PublicationTables, WaitingOffers } from './hailing-store.js';
import type { LargeTables } from './large-store.js';
import type { ContactChange, ContactRule, MessageSeen } from './message-rows.js';
import type { OutboxInsert, OutboxTables } from './outbox-store.js';

export type { DevicePermission, DeviceRow, RevocationCut } from './device-rows.js';

/** One stored envelope, its parts as received; `payload` null is a redacted one. Same shape as `EnvelopeOctets`. */
export interface StoredEnvelope {
  readonly header: Uint8Array;
  readonly payload: Uint8Array | null;
  readonly trailer: Uint8Array | null;
}

/** What CreateAccount fills in and a later CreateAccount of the same Mesh replaces (semantics 6.2). Keys are raw Ed448 octets. */
export interface AccountFields {
  readonly status: AccountStatus;
  readonly meshUdf: string;
  readonly accountUdf: string;
  readonly profileMesh: StoredEnvelope;
  readonly profileAccount: StoredEnvelope;
  readonly meshOfflineKey: Uint8Array;
  readonly meshOnlineKeys: readonly Uint8Array[];
  readonly accountOfflineKey: Uint8Array;
  readonly accountOnlineKeys: readonly Uint8Array[];
  /** `Updated` of the stored profiles, Unix time in milliseconds; 0 where the profile has none (S25: only newer ones replace). */
  readonly meshUpdatedMs: number;
  readonly accountUpdatedMs: number;
  /** Tickets issued before this Unix time in milliseconds are void (S33). */
  readonly ticketsFromMs: number;
  readonly quota: Quota;
  /** Null: the account is here. Else it stands by, or has left (`moved`). */
  readonly away: AccountAway | null;
}

/** Bounds of one account (semantics 10). */
export interface Quota {
  readonly bytesMax: number;
  readonly framesMax: number;
}

export type ContainerKind = 'catalog' | 'spool';

/** One container as last committed. */
export interface ContainerState {
  readonly id: number;
  readonly name: string;
  readonly kind: ContainerKind;
  /** Number of frames, frame 0 included: the index of the next one. */
  readonly frameCount: number;
  /** Encoded state of the DARE tree over all frames (`encodeTree`). */
  readonly dareTree: Uint8Array;
  /** Encoded right edge of the RFC 6962 tree over all frames (`encodeEdge`). */
  readonly logTree: Uint8Array;
  /** `Log` of S44: names this container for life, 32 octets. */
  readonly logId: Uint8Array;
  /** First index that no manifest covers yet (S42). */
  readonly manifestFrom: number;
  /** Opened without a manifest in frame 0 (S49). */
  readonly legacy: boolean;
  /** Octets of headers, payloads and trailers together. */
  readonly bytesUsed: number;
  /** A stored frame failed its digest: readable, but nothing is appended. */
  readonly damaged: boolean;
}

/** One account as last committed. A snapshot: it is replaced after a commit, never changed. */
export interface AccountState extends AccountFields {
  readonly id: number;
  readonly address: string;
  readonly createdAtMs: number;
  readonly containers: ReadonlyMap<string, ContainerState>;
  /** By device UDF. */
  readonly devices: ReadonlyMap<string, DeviceRow>;
  /** Devices that ask to be connected, by device UDF. */
  readonly connections: ReadonlyMap<string, ConnectionRow>;
  /** Raw keys in base64url, see {@link keyText}; they outlive profile updates (S25). */
  readonly revokedKeys: ReadonlySet<string>;
  /** `mmm_Device` has received its first entry: bootstrap is over for good (S25). */
  readonly deviceCatalogBegun: boolean;
  /** Sums over the containers. */
  readonly bytesUsed: number;
  readonly frameCount: number;
}

/** What is known of an address that has no account. */
export interface NameState {
  /** The name of a deleted account cannot be taken before this Unix time in milliseconds; null: free. */
  readonly quarantinedUntilMs: number | null;
}

export type FrameEvent = 'New' | 'Update' | 'Delete';

/** A frame to append; its index is the container's frame count plus its place in the batch. */
export interface FrameWrite extends StoredEnvelope {
  /** SHA-512 of the payload octets (recomputed by the storage just before the insert), 64 octets. */
  readonly payloadDigest: Uint8Array;
  /** T(index) of encoding 3.6, 64 octets. */
  readonly treeDigest: Uint8Array;
  /** Leaf of S44, 32 octets. */
  readonly leaf: Uint8Array;
  /** Roots of the subtrees that the leaf completes, from level 1 upwards, one after the other (S46). */
  readonly nodes: Uint8Array;
  readonly uniqueId?: string;
  readonly event?: FrameEvent;
}

/** Where a key of a catalog (or a message identity of a spool) stands after the batch. */
export interface CatalogKey {
  readonly uniqueId: string;
  /** Frame of the current instance; after a Delete, the frame that deleted it. */
  readonly latestIndex: number;
  /** Frame of the first instance since the key was last free. */
  readonly firstIndex: number;
  readonly deleted: boolean;
  /** What the latest mark says of a message of a spool. */
  readonly mark?: MessageMark | undefined;
}

/** A message that was read, or is hidden. */
export type MessageMark = 'read' | 'deleted';

/** What a batch of frames makes of its container. */
export interface ContainerAppend {
  /** At least one. */
  readonly frames: readonly FrameWrite[];
  /** Both trees, encoded, after the last frame. */
  readonly dareTree: Uint8Array;
  readonly logTree: Uint8Array;
  readonly manifestFrom: number;
  /** Keys that the batch changes, each once, as they stand after it. */
  readonly keys: readonly CatalogKey[];
}

/** A batch for a container of the account itself. */
export interface ContainerWrite extends ContainerAppend {
  readonly name: string;
  /** Compared with the stored frame count in the same database transaction; 0 exactly with `open`. */
  readonly expectedFrameCount: number;
  /** Present: the batch opens the container with its frame 0. */
  readonly open?: {
    readonly kind: ContainerKind;
    readonly legacy: boolean;
    readonly logId: Uint8Array;
  };
}

/** Stores of the service itself (semantics 9). */
export type ServiceContainer = 'mmm_Account' | 'mmm_Incident';

/** An entry for a store of the service, committed together with what it records. */
export interface ServiceAppend {
  readonly container: ServiceContainer;
  /**
   * Makes the frames for the index that the container stands at when its turn comes. Synchronous, and may be called
   * again with another state when the database transaction has to be repeated.
   */
  readonly make: (container: ContainerState) => ContainerAppend;
}

/** The remembered answer of a writing request (S27): response payload, no signature. */
export interface SeenWrite {
  /** Account and device, or whoever asks (encoding 6.6); never a ticket. */
  readonly principal: string;
  /** 24 octets: time in milliseconds, 16 random. */
  readonly id: Uint8Array;
  /** PayloadDigest of the request, 64 octets. */
  readonly digest: Uint8Array;
  readonly result: Uint8Array;
}

/** What a writing request left behind. */
export interface Seen {
  readonly digest: Uint8Array;
  readonly result: Uint8Array;
}

/**
 * Everything that one request changes, in one database transaction. Exactly one of `create`, `replace` and `remove` at
 * most; `create` only where the account does not exist.
 */
export interface AccountWrite {
  readonly create?: AccountFields;
  readonly replace?: AccountFields;
  /** Deletes the account: the name is quarantined, the stores stay for recovery by the operator (semantics 10). */
  readonly remove?: true;
  readonly containers?: readonly ContainerWrite[];
  /** Rows to insert or replace, by device UDF. */
  readonly devices?: readonly DeviceRow[];
  /** Raw keys to add to the set of revoked ones. */
  readonly revokedKeys?: readonly Uint8Array[];
  readonly deviceCatalogBegun?: true;
  readonly seen?: SeenWrite;
  readonly service?: readonly ServiceAppend[];
  /** Rows for messages that wait to be sent. */
  readonly outbox?: readonly OutboxInsert[];
  /** Numbers of outbox rows that have ended. */
  readonly ended?: readonly number[];
  /** Messages taken for the address, which need not be an account. */
  readonly messagesSeen?: readonly MessageSeen[];
  readonly contacts?: readonly ContactChange[];
  readonly connections?: readonly ConnectionChange[];
  /** Offers of connection that the write files for devices. */
  readonly offers?: readonly OfferRow[];
  /** Keys of `mmm_Publication` that the write changes: what they say now is to be handed over. */
  readonly publications?: readonly string[];
  /** Frames from which, backwards, the bodies of a deleted entry are to be removed (S64). */
  readonly erasures?: readonly Erasure[];
  /** Bodies that are removed. */
  readonly erased?: ErasureStep;
}

/** Frames whose payload is left out of an answer (semantics 6.5). Frames without payload have nothing to leave out. */
export interface FrameFilter {
  /** Entries of a catalog that a later frame of their key followed, be it an Update or a Delete. */
  readonly superseded: boolean;
  /** Entries of a catalog whose instance was deleted; messages of a spool that were marked so. */
  readonly deleted: boolean;
  /** Messages of a spool that were marked so. */
  readonly read: boolean;
  /** Frames stored before this Unix time in milliseconds. */
  readonly olderThanMs: number | undefined;
}

/** Which frames, and how much of them. */
export interface FrameSelection {
  /** First index, inclusive. */
  readonly from: number;
  /** Last index, inclusive. */
  readonly to: number;
  /** Time the service stored the frame: `notBeforeMs` ≤ t < `beforeMs`. */
  readonly notBeforeMs?: number;
  readonly beforeMs?: number;
  /** Parts to read, all by default. A part that was not asked for comes as null (`header`: empty). */
  readonly header?: boolean;
  readonly payload?: boolean;
  readonly trailer?: boolean;
  /** Payloads of matching frames are not read. */
  readonly filter?: FrameFilter;
  /** Stop after so many frames. */
  readonly framesMax?: number;
  /** Stop before the frame with which the payload octets would exceed this, unless it is the first. */
  readonly payloadBytesMax?: number;
}

/** A stored frame; its payload was compared with its digest when it was read. */
export interface FrameRow extends StoredEnvelope {
  readonly index: number;
  readonly storedAtMs: number;
  /** Of the stored payload, also when it was not asked for. */
  readonly payloadBytes: number;
  readonly payloadDigest: Uint8Array;
  readonly treeDigest: Uint8Array;
  readonly leaf: Uint8Array;
  readonly uniqueId: string | null;
  readonly event: FrameEvent | null;
  /** The filter of the selection matched. */
  readonly filtered: boolean;
}

/** Some octets of a payload; what lies beyond its end is left out. */
export interface PayloadSlice {
  readonly offset: number;
  readonly bytes: number;
}

/** Sees one account; cannot write. Valid while the function it was given to runs, frames also afterwards. */
export interface AccountReader {
  readonly address: string;
  /** Undefined: no such account (see {@link name}). */
  readonly state: AccountState | undefined;
  readonly name: NameState;
  /** Where the given keys stand; keys never used are absent from the map. */
  catalogKeys(container: ContainerState, uniqueIds: readonly string[]): Promise<ReadonlyMap<string, CatalogKey>>;
  /**
   * Frames in order, in chunks of bounded octets.
   *
   * @throws StorageError `damaged` at the first frame whose payload does not match its digest
   */
  frames(container: ContainerState, selection: FrameSelection): AsyncIterable<readonly FrameRow[]>;
  /**
   * One frame with some octets of its payload, and no more of it read. Its digest is that of the whole payload and
   * cannot be compared.
   */
  frameSlice(container: ContainerState, index: number, slice: PayloadSlice): Promise<FrameRow | undefined>;
  /** Nodes of the second tree over the stored frames, in one statement. Those that are not complete are not found. */
  logNodes(container: ContainerState, names: readonly NodeName[]): Promise<NodeLookup>;
  /** What a writing request with this identity left behind, if anything. */
  findSeen(principal: string, id: Uint8Array): Promise<Seen | undefined>;
  /** Whether a message was taken for this address before, be it an account or not. */
  findMessageSeen(identity: Uint8Array): Promise<MessageSeen | undefined>;
  /** What entries of this address's contacts say of a person, by account or address. */
  contactRules(person: { readonly accountUdf: string; readonly address: string }): Promise<readonly ContactRule[]>;
  /** Offers that wait at this account for a device; none where there is no account. */
  waitingOffers(deviceUdf: string): Promise<WaitingOffers>;
  /** How many keys of the container are not deleted. */
  liveKeyCount(container: ContainerState): Promise<number>;
}

/** The one writer of an account. `state` is the newest committed one, also after a commit. */
export interface AccountTransactor extends AccountReader {
  /**
   * Hands the write to the coalescer and resolves after the database has committed it durably.
   *
   * @throws StorageError; nothing was written unless its code is `unavailable`
   */
  commit(write: AccountWrite): Promise<void>;
}

/** The storage of one shard. */
export interface Store {
  /** Epoch of the lease this process writes under. */
  readonly epoch: number;
  /** Messages that wait to be sent, and where to. */
  readonly outbox: OutboxTables;
  /** Large files of accounts. */
  readonly large: LargeTables;
  /** What accounts publish, and what is served here. */
  readonly publications: PublicationTables;
  /** Runs `read` on the account as last committed; the address is canonical, or `@service`. */
  readAccount<T>(address: string, read: (reader: AccountReader) => Promise<T> | T): Promise<T>;
  /**
   * What a stranger's message costs before it is judged: an address that was not approached lately is read from the
   * database, be it an account in use, one that was long idle, or none (S80).
   */
  approachAccount(address: string): Promise<void>;
  /** Runs `transact` as the only writer of the account; others of the same account wait in order. */
  transactAccount<T>(address: string, transact: (transactor: AccountTransactor) => Promise<T> | T): Promise<T>;
  /**
   * Calls `listener` after each commit that concerns the account, until the function returned is called.
   *
   * The listener is told nothing: it reads again.
   */
  watchAccount(address: string, listener: () => void): () => void;
  /**
   * Makes `@service` and its two containers where they do not exist yet; called once after start, before the first
   * write that has `service` entries.
   *
   * @param make gives the account's fields and frame 0 of each container (encoding 3.9)
   */
  ensureService(
    make: () => { readonly fields: AccountFields; readonly containers: readonly ContainerWrite[] },
  ): Promise<void>;
  /** Bodies that are to be removed, in an order of their own, behind the one given. */
  erasures(after: PendingErasure | undefined, countMax: number): Promise<readonly PendingErasure[]>;
  /** Problems an operator should know of: lease, database, damaged containers. Empty when all is well. */
  problems(): readonly string[];
  /** Deletes what has expired: remembered requests, purged accounts, old quarantines. Also runs by itself. */
  sweep(): Promise<void>;
  /** Refuses new work, finishes what waits, gives the lease back. */
  stop(): Promise<void>;
}

/** A raw key as text, for {@link AccountState.revokedKeys}. */
export function keyText(raw: Uint8Array): string {
  return Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('base64url');
}

/** Octets that a frame counts against the quota. */
export function frameBytes(frame: StoredEnvelope): number {
  return frame.header.length + (frame.payload?.length ?? 0) + (frame.trailer?.length ?? 0);
}

/** Address of the account that holds the service's own stores; no user can have it (semantics 4). */
export const serviceAddress = '@service';
