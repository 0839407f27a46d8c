import { deliveriesAskedMax } from '@meshd/limits/limits';
import { outboundSpool } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';
import { mayRead } from '../permissions.js';

/** One recipient of a message that is still in the outbox. Times are Unix milliseconds. */
export interface DeliveryState {
  /** `UniqueID`. */
  readonly message: string;
  readonly account: string;
  readonly attempts: number;
  /** Undefined: as soon as may be. */
  readonly nextAttemptMs: number | undefined;
  readonly expiresMs: number;
  /** Of the last failure; empty: none yet. */
  readonly reason: string;
}

/**
 * Where messages of the account are that have not ended; of the others marks tell.
 *
 * @throws MeshError `too-large`, `not-authorised`, and what {@link authorise} throws; StorageError
 */
export async function describeDeliveries(
  context: ShardContext,
  { principal, messages }: { readonly principal: Principal; readonly messages: readonly string[] },
): Promise<readonly DeliveryState[]> {
  if (messages.length > deliveriesAskedMax) throw new MeshError('too-large', `at most ${deliveriesAskedMax} messages`);
  return context.store.readAccount(principal.account, async (reader) => {
    // It is part of a Status, and open to whom that is.
    const { state, permissions } = await authorise(principal, reader.state, { superseded: true });
    if (!mayRead(permissions, outboundSpool)) throw new MeshError('not-authorised', outboundSpool);
    const spool = state.containers.get(outboundSpool);
    if (spool === undefined || messages.length === 0) return [];
    const keys = await reader.catalogKeys(spool, [...new Set(messages)]);
    const rows = await context.store.outbox.rowsOfFrames(
      spool.id,
      [...keys.values()].map(({ latestIndex }) => latestIndex),
    );
    const nowMs = context.clock();
    return Promise.all(
      rows.map(async (row) => {
        const destination = await context.destinations.stateOf(row.domain);
        const isDue = destination.nextAttemptMs <= nowMs;
        return {
          ...{ message: row.messageId, account: row.recipient, attempts: row.attempts, expiresMs: row.expiresAtMs },
          nextAttemptMs: isDue ? undefined : destination.nextAttemptMs,
          reason: destination.held ? 'held' : row.lastFailure || destination.lastFailure,
        };
      }),
    );
  });
}
