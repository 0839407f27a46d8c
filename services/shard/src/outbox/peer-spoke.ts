import { destinationRestMsMin } from '@meshd/limits/limits';
import type { ShardContext } from '../context.js';
import { awakened } from './destination.js';
import { wakeDestination } from './settle.js';

/**
 * An authenticated request came from a domain: messages for it need not wait any longer (semantics 8.1). A peer that speaks
 * all the time and cannot be reached is not tried more often than one that fails for the first time.
 *
 * @throws StorageError
 */
export async function peerSpoke(context: ShardContext, domain: string): Promise<void> {
  const { destinations, clock } = context;
  const { failures, held, nextAttemptMs, lastFailureMs } = await destinations.stateOf(domain);
  const nowMs = clock();
  if (failures === 0 || held || nextAttemptMs <= nowMs || nowMs - lastFailureMs < destinationRestMsMin) return;
  await destinations.change(domain, awakened);
  await wakeDestination(context, domain);
}
