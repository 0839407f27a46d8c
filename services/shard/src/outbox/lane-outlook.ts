import type { LaneRest } from '../storage/outbox-store.js';
import type { DestinationState } from './destination.js';

/** What a worker is told of a lane. */
export interface LaneOutlook {
  /** Rows are due. */
  readonly more: boolean;
  /** Unix time in milliseconds from which there may be some; undefined: none wait, or until an operator decides. */
  readonly nextAttemptMs: number | undefined;
}

/** What is to be expected of a lane. */
export function laneOutlook(state: DestinationState, rest: LaneRest, nowMs: number): LaneOutlook {
  if (state.held) return { more: false, nextAttemptMs: undefined };
  if (!rest.free) return { more: false, nextAttemptMs: rest.leasedUntilMs ?? undefined };
  if (state.nextAttemptMs > nowMs) return { more: false, nextAttemptMs: state.nextAttemptMs };
  return { more: true, nextAttemptMs: undefined };
}
