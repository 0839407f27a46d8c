import { destinationForgetMs, outboxEndedAtOnceMax } from '@meshd/limits/outbox';
import { statusCodes, statusRegistry } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import { regularly } from '../regularly.js';
import type { OutboxRow } from '../storage/outbox-store.js';
import { type Ending, endRows } from './ending.js';

/**
 * Ends messages whose time is over, whatever queue they are in, and tells their senders (semantics 8.1); forgets
 * destinations of which nothing is heard. What is on its way just now is left to its worker.
 *
 * @returns how many ended.
 * @throws StorageError
 */
export async function expireMessages(context: ShardContext): Promise<number> {
  const { store, clock, destinations } = context;
  let ended = 0;
  for (;;) {
    const rows = await store.outbox.rows({ expiredMs: clock() }, outboxEndedAtOnceMax);
    ended += await endRows(context, await Promise.all(rows.map((row) => expired(context, row))));
    if (rows.length < outboxEndedAtOnceMax) break;
  }
  await destinations.forget(clock() - destinationForgetMs);
  return ended;
}

async function expired({ destinations }: ShardContext, row: OutboxRow): Promise<Ending> {
  const failure = row.lastFailure || (await destinations.stateOf(row.domain)).lastFailure;
  return { row, end: { relationship: 'Expired', statusExtended: extendedOfFailure(failure) } };
}

/** Why a message waited until its end, where the word of the last failure has a code; 0 for all others. */
function extendedOfFailure(word: string): number {
  // A service that has proved itself before, and now offers nothing to do it with (S75).
  if (word === 'feature-missing') return statusRegistry['peer-unproved'].extended ?? 0;
  const code = statusCodes.find((each) => each === word);
  return code === undefined ? 0 : (statusRegistry[code].extended ?? 0);
}

/** Who is told of what the looks found. */
export interface ExpiryEvents {
  readonly onExpired: (count: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Ends what has expired, regularly; see {@link regularly}. */
export function startExpiry(context: ShardContext, { onExpired, onError }: ExpiryEvents): () => Promise<void> {
  return regularly(() => expireMessages(context).then(onExpired, onError));
}
