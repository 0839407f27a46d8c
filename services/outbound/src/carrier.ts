/** What a worker hands to whoever carries messages, to another service or to a shard of ours, and what comes of it. */
import type { EnvelopeOctets } from '@meshd/dare/envelope';

/** A row of the outbox that this worker has leased. */
export interface LeasedRow {
  readonly id: number;
  /** Octets as the sender's device sent them. */
  readonly message: EnvelopeOctets;
  /** SHA-2-512 of its payload, by the shard, which has compared them. */
  readonly payloadDigest: Uint8Array;
  /** Octets of the message as it is kept: what it takes of a Post, about. */
  readonly bytes: number;
  readonly sender: string;
  readonly recipient: string;
}

/** Rows that go together. */
export type Batch = readonly LeasedRow[];

/** What became of one row. */
export type RowResult =
  | { readonly kind: 'delivered'; readonly receipt: EnvelopeOctets | undefined }
  /** For good. `statusExtended` 0: the other side gave none. */
  | { readonly kind: 'refused'; readonly statusExtended: number; readonly reason: string }
  /** To be tried again. */
  | { readonly kind: 'failed'; readonly reason: string };

/** Nothing is known of the rows: they stay, and are tried again. */
export interface CarryFailure {
  readonly kind: 'failed';
  /** Word for logs, figures and operators. */
  readonly failure: string;
  /** An authenticated answer came: the service is there, and does not take messages now. */
  readonly reached: boolean;
  /** What it asked for. */
  readonly retryAfterMs: number | undefined;
}

/** What came of a batch. */
export type CarryOutcome =
  | { readonly kind: 'answered'; readonly results: ReadonlyMap<LeasedRow, RowResult> }
  /** The whole batch was refused for good, which may be the fault of one message alone. */
  | { readonly kind: 'refused'; readonly statusExtended: number; readonly reason: string }
  | CarryFailure;

/** Leased rows, made ready. */
export interface Plan {
  readonly kind: 'plan';
  /** Batches of one chain go one after the other, in order; chains are independent of each other. */
  readonly chains: readonly (readonly Batch[])[];
  /** What the other side would not take, by what it says of itself. */
  readonly refused: ReadonlyMap<LeasedRow, RowResult>;
}

/** Carries messages. Holds no state of destinations and reschedules nothing. Never throws for what the other side does. */
export interface Carrier {
  /**
   * Arranges rows, after finding out what the destination takes.
   *
   * @param batchBytesMax octets of messages in one batch, where there are several
   * @param deadlineMs Unix time
   */
  plan(
    domain: string,
    rows: readonly LeasedRow[],
    batchBytesMax: number,
    deadlineMs: number,
  ): Promise<Plan | Exclude<CarryOutcome, { kind: 'answered' }>>;
  carry(domain: string, batch: Batch, deadlineMs: number): Promise<CarryOutcome>;
}
