import { outboxLeaseMs, outboxLeaseRowsMax } from '@meshd/limits/limits';
import { outboxLeaseBytesMax } from '@meshd/limits/outbox';
import type { ShardContext } from '../context.js';
import type { LeasedRow } from '../storage/outbox-store.js';
import { type LaneOutlook, laneOutlook } from './lane-outlook.js';

/** What a worker asks for. */
export interface LeaseRequest {
  readonly owner: string;
  readonly domain: string;
  readonly lane: number;
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly leaseMs: number;
}

/** Rows for one worker, oldest first. */
export interface LeaseResult extends LaneOutlook {
  readonly rows: readonly LeasedRow[];
}

/**
 * Leases rows of a lane, if the destination is to be tried at all. A destination that fails is tried by one lane at a time:
 * a dead one occupies one worker, however many lanes wait.
 *
 * @throws StorageError
 */
export async function leaseOutbox(context: ShardContext, request: LeaseRequest): Promise<LeaseResult> {
  const { owner, domain, lane } = request;
  const { destinations, clock, store } = context;
  const state = await destinations.stateOf(domain);
  const nowMs = clock();
  if (state.held) return { rows: [], more: false, nextAttemptMs: undefined };
  if (state.nextAttemptMs > nowMs) return { rows: [], more: false, nextAttemptMs: state.nextAttemptMs };
  const probedUntilMs = state.failures > 0 ? destinations.probe(domain, owner, lane, nowMs) : undefined;
  if (probedUntilMs !== undefined) return { rows: [], more: false, nextAttemptMs: probedUntilMs };
  const { rows, rest } = await store.outbox.lease({
    ...{ owner, domain, lane, nowMs },
    rowsMax: within(request.rowsMax, 1, outboxLeaseRowsMax),
    bytesMax: within(request.bytesMax, 1, outboxLeaseBytesMax),
    untilMs: nowMs + within(request.leaseMs, 1, outboxLeaseMs),
  });
  if (rows.length > 0) return { rows, more: rest.free, nextAttemptMs: undefined };
  destinations.endProbe(domain, owner, lane);
  // Free rows that were not given stand behind others that are on their way.
  return { rows, ...laneOutlook(state, { ...rest, free: false }, nowMs) };
}

function within(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
