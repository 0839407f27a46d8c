import { destinationForgetMs, outboxEndedAtOnceMax } from '@meshd/limits/outbox';
import type { ShardContext } from '../context.js';
import { regularly } from '../regularly.js';
import { endRows } from './ending.js';

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
    ended += await endRows(
      context,
      rows.map((row) => ({ row, end: { relationship: 'Expired' } })),
    );
    if (rows.length < outboxEndedAtOnceMax) break;
  }
  await destinations.forget(clock() - destinationForgetMs);
  return ended;
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
