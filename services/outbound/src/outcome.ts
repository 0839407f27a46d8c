/**
 * What an answer to a Post means, and what it means that there is none (semantics 8.1), as pure functions: which rows are
 * done, which are refused for good, and what the destination has shown of itself.
 */
import { BindingError } from '@meshd/binding/errors';
import type { VerifiedResponse } from '@meshd/binding/mesh-connection';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { EntryResponse } from '@meshd/schema/common';
import { codeOfAnswer, MeshError, statusRegistry } from '@meshd/schema/status';
import type { Batch, CarryFailure, CarryOutcome, LeasedRow } from './carrier.js';

/** What the peer said of one row. */
export type Verdict =
  | { readonly kind: 'accepted'; readonly receipt: EnvelopeOctets | undefined }
  | { readonly kind: 'refused'; readonly statusExtended: number }
  /** Nothing, or nothing that could be understood. */
  | { readonly kind: 'unsaid' };

/** What an authenticated answer means. */
export type Judgement =
  | { readonly kind: 'entries'; readonly verdicts: ReadonlyMap<LeasedRow, Verdict> }
  | Exclude<CarryOutcome, { kind: 'answered' }>;

/**
 * Statuses after which the same Post is not worth repeating: malformed, not permitted, not found, gone, too large, encoding,
 * wrong host. All others may pass.
 */
const finalStatuses: ReadonlySet<number> = new Set([400, 403, 404, 410, 413, 415, 421]);

/** What 413 means for a message that came alone. */
const tooSmall = statusRegistry['peer-too-small'];

/** Reads an answer that was proved to be one. */
export function judgeResponse(
  response: Pick<VerifiedResponse<'Post'>, 'status' | 'statusExtended' | 'succeeded' | 'message' | 'retryAfterMs'>,
  batch: Batch,
): Judgement {
  const { status, statusExtended = 0, succeeded, message, retryAfterMs } = response;
  const code = codeOfAnswer(status, statusExtended);
  const isNamed = statusExtended !== 0 && statusRegistry[code].extended === statusExtended;
  const entries = message.Entries ?? [];
  // 403 with entries: the request was processed, and all of it rejected (semantics 6.7)
  if (succeeded || (status === 403 && entries.length > 0))
    return { kind: 'entries', verdicts: verdictsOf(entries, batch) };
  if (finalStatuses.has(status)) {
    const why = status === tooSmall.status ? statusExtended || (tooSmall.extended ?? 0) : statusExtended;
    return { kind: 'refused', statusExtended: why, reason: `status ${status}` };
  }
  return { kind: 'failed', failure: isNamed ? code : `status-${status}`, reached: true, retryAfterMs };
}

/** Entries belong to messages by their number, and to accounts where they name one: a Post of ours has one account. */
function verdictsOf(entries: readonly EntryResponse[], batch: Batch): Map<LeasedRow, Verdict> {
  return new Map(
    batch.map((row, at) => {
      const own = entries.filter(
        ({ IndexRequest: index, Account: account }) => index === at && (account ?? row.recipient) === row.recipient,
      );
      return [row, own.length === 1 ? verdictOf(own[0] as EntryResponse) : { kind: 'unsaid' }];
    }),
  );
}

function verdictOf({ Result: result, StatusExtended: statusExtended = 0, Receipt: receipt }: EntryResponse): Verdict {
  if (result === 'Accept') return { kind: 'accepted', receipt };
  return result === 'Reject' ? { kind: 'refused', statusExtended } : { kind: 'unsaid' };
}

/**
 * What it means that no answer came that could be believed: the destination failed, the messages stay.
 *
 * @throws what is no failure of another service or of a shard
 */
export function failureOf(error: unknown): CarryFailure {
  if (error instanceof BindingError) {
    return { kind: 'failed', failure: error.code, reached: false, retryAfterMs: error.pauseMs || undefined };
  }
  if (error instanceof MeshError) {
    return { kind: 'failed', failure: error.code, reached: false, retryAfterMs: error.retryAfterMs };
  }
  throw error;
}
