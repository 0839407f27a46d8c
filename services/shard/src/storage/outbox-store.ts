/**
 * The outbox as the rest of the shard sees it: types only, the body stands in `outbox.ts`. Rows come with the frames they
 * send and go with the marks that tell how they ended, in the write of their account (`AccountWrite.outbox` and
 * `AccountWrite.ended`); what happens to them between is here, and tells nobody but the outbound workers.
 */
import type { DestinationState } from '../outbox/destination.js';
import type { StoredEnvelope } from './store.js';

/** A row to insert with a frame of `mmm_Outbound`; one that is there already stays as it is. */
export interface OutboxInsert {
  /** Name of the container, which the write names too or the account has. */
  readonly container: string;
  readonly frameIndex: number;
  /** Canonical addresses. */
  readonly sender: string;
  readonly recipient: string;
  readonly domain: string;
  readonly lane: number;
  /** `UniqueID` of the message. */
  readonly messageId: string;
  readonly messageBytes: number;
  /** Unix times in milliseconds. */
  readonly queuedAtMs: number;
  readonly expiresAtMs: number;
}

/** A row as stored. */
export interface OutboxRow {
  readonly id: number;
  readonly containerId: number;
  readonly frameIndex: number;
  readonly sender: string;
  readonly recipient: string;
  readonly domain: string;
  readonly lane: number;
  readonly messageId: string;
  readonly queuedAtMs: number;
  readonly expiresAtMs: number;
  readonly attempts: number;
  /** Empty: none yet. */
  readonly lastFailure: string;
}

/** A row as operators see it. */
export interface WaitingRow extends OutboxRow {
  /** On its way. */
  readonly leased: boolean;
}

/** Rows of a destination behind one. */
export interface WaitingChoice {
  readonly domain: string;
  readonly afterId: number;
  readonly nowMs: number;
}

/** A row with its message, for the worker that leased it. */
export interface LeasedRow extends OutboxRow {
  /** The frame as stored. */
  readonly frame: StoredEnvelope;
  /** SHA-2-512 of its payload, compared with it. */
  readonly payloadDigest: Uint8Array;
}

/** One lane of a destination. */
export interface Lane {
  readonly domain: string;
  readonly lane: number;
}

/** Who wants rows, and how many. */
export interface LeaseWish extends Lane {
  readonly owner: string;
  readonly rowsMax: number;
  /** Octets of messages together; one row may be larger by itself. */
  readonly bytesMax: number;
  readonly nowMs: number;
  readonly untilMs: number;
}

/** What is left in a lane. */
export interface LaneRest {
  /** Rows that nobody has leased. */
  readonly free: boolean;
  /** The end of the lease that ends first; null: nothing is leased. */
  readonly leasedUntilMs: number | null;
}

/** Rows of one destination, counted. */
export interface DestinationCount {
  readonly domain: string;
  readonly rows: number;
  readonly leased: number;
  /** 0: no rows. */
  readonly oldestQueuedMs: number;
  /** By the ages asked for, and those that are older than all. */
  readonly rowsByAge: readonly number[];
}

/** Which rows. */
export type RowChoice =
  /** Expired by `nowMs`, and not on their way. */
  { readonly expiredMs: number } | { readonly domain: string; readonly nowMs: number };

/** Tables `outbox` and `destination`. All methods throw StorageError. */
export interface OutboxTables {
  /**
   * Leases the oldest rows of a lane. A lane is one worker's as long as any of its rows is leased, and no row is given
   * out behind another of the same recipient that is on its way: so messages to one recipient stay in order.
   */
  lease(wish: LeaseWish): Promise<{ readonly rows: readonly LeasedRow[]; readonly rest: LaneRest }>;
  /** Gives rows back that `owner` has leased; with a failure the attempt is charged. */
  giveBack(
    owner: string,
    rows: readonly { readonly id: number; readonly failure: string | undefined }[],
  ): Promise<void>;
  laneRest(lane: Lane, nowMs: number): Promise<LaneRest>;
  /** Rows by number, those that are there, oldest first. Look-ups that wait at the same moment go together. */
  rowsOf(ids: readonly number[]): Promise<readonly OutboxRow[]>;
  /** Rows, oldest first. */
  rows(choice: RowChoice, rowsMax: number): Promise<readonly OutboxRow[]>;
  /** Rows in order of their numbers, which is that of their queueing; those on their way too. */
  waiting(choice: WaitingChoice, rowsMax: number): Promise<readonly WaitingRow[]>;
  /** Rows of frames of one container. */
  rowsOfFrames(containerId: number, frameIndexes: readonly number[]): Promise<readonly OutboxRow[]>;
  /** Lanes with rows behind `after`, in order of domain and lane, without those of held destinations. */
  lanes(after: Lane, lanesMax: number): Promise<readonly (Lane & { readonly dueMs: number })[]>;
  /** Lanes of a destination with rows. */
  lanesOf(domain: string): Promise<readonly number[]>;
  /** Undefined: nothing is known of it. */
  destination(domain: string): Promise<DestinationState | undefined>;
  saveDestination(domain: string, state: DestinationState): Promise<void>;
  /** Domains with rows or a state, in order, behind `after`. */
  domains(after: string, domainsMax: number): Promise<readonly string[]>;
  /** @param agesMs ascending */
  count(domain: string, nowMs: number, agesMs: readonly number[]): Promise<DestinationCount>;
  /** Forgets destinations without rows of which nothing was heard since a time. */
  forgetDestinations(beforeMs: number): Promise<void>;
}
