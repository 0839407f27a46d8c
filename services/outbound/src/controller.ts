/**
 * How many Posts may be in work for one destination (semantics 8.4), as a pure function of state and sample.
 *
 * The draft's rule looks at the last transfers: where 40 % took 4 s or more the limit falls, where 90 % were done within a
 * second it may rise, between the two it stays. Around that rule stand four guards. Transfers that began before the last
 * change say nothing about it. A limit that was not used is not raised. Nothing is raised soon after something was lowered.
 * And a whole cohort of failures, as many in a row as were in work, is an outage and no slow line: the limit begins at one.
 */
import {
  controllerHoldMs,
  controllerLimitStart,
  controllerSamplesMax,
  controllerSamplesMin,
  controllerWindowMs,
  outboundPostsPerDestinationMax,
} from '@meshd/limits/outbound';

/** One transfer that ended. Times are in milliseconds of any one clock. */
export interface TransferSample {
  readonly startedMs: number;
  readonly endedMs: number;
  /** `late` when it was given up at its deadline, `failed` when it broke: no connection, no readable answer. */
  readonly result: 'done' | 'late' | 'failed';
  /** Transfers to the destination that were in work when this one began, itself included. */
  readonly inWork: number;
}

/** What a controller knows. */
export interface ControllerState {
  /** Transfers that may be in work. */
  readonly limit: number;
  /** Transfers since the last change, oldest first. */
  readonly samples: readonly TransferSample[];
  readonly changedMs: number;
  readonly raisedNotBeforeMs: number;
  readonly failuresInRow: number;
}

/** What a sample led to. `reason` is one of few words, for logs and figures. */
export interface ControllerDecision {
  readonly change: 'raise' | 'lower' | 'outage' | 'hold';
  readonly reason:
    | 'fast'
    | 'slow'
    | 'cohort-failed'
    | 'few-samples'
    | 'between'
    | 'unused'
    | 'lowered-lately'
    | 'at-most';
}

/** The draft's thresholds (9.1.2.1). */
const slowMs = 4000;
const slowShare = 0.4;
const fastMs = 1000;
const fastShare = 0.9;
/** What a limit falls to, as a share of itself. */
const loweredTo = 0.7;
/** Below this it doubles, from here on it grows by one. */
const doubledBelow = 10;

/** A destination that nothing is known of. */
export function newController(nowMs: number): ControllerState {
  const guards = { changedMs: nowMs, raisedNotBeforeMs: nowMs, failuresInRow: 0 };
  return { limit: controllerLimitStart, samples: [], ...guards };
}

/** The state after one more transfer, and what was decided. */
export function afterTransfer(
  state: ControllerState,
  sample: TransferSample,
): { readonly state: ControllerState; readonly decision: ControllerDecision } {
  const hold = (next: ControllerState, reason: ControllerDecision['reason']) =>
    ({ state: next, decision: { change: 'hold', reason } }) as const;
  if (sample.startedMs < state.changedMs) return hold(state, 'few-samples');
  const failuresInRow = sample.result === 'done' ? 0 : state.failuresInRow + 1;
  const samples = [...state.samples, sample]
    .filter(({ endedMs }) => sample.endedMs - endedMs <= controllerWindowMs)
    .slice(-controllerSamplesMax);
  const next = { ...state, samples, failuresInRow };
  const changed = (change: 'raise' | 'lower' | 'outage', limit: number, reason: ControllerDecision['reason']) => ({
    state: changedTo(next, limit, sample.endedMs, change === 'raise' ? 0 : controllerHoldMs),
    decision: { change, reason },
  });
  const inWorkMax = samples.reduce((most, { inWork }) => Math.max(most, inWork), 1);
  if (failuresInRow >= Math.min(state.limit, inWorkMax)) return changed('outage', 1, 'cohort-failed');
  if (samples.length < controllerSamplesMin) return hold(next, 'few-samples');
  if (shareOf(samples, isSlow) >= slowShare) {
    return changed('lower', Math.max(1, Math.floor(state.limit * loweredTo)), 'slow');
  }
  if (shareOf(samples, isFast) < fastShare) return hold(next, 'between');
  if (inWorkMax * 2 < state.limit) return hold(next, 'unused');
  if (sample.endedMs < state.raisedNotBeforeMs) return hold(next, 'lowered-lately');
  const raised = state.limit < doubledBelow ? state.limit * 2 : state.limit + 1;
  const limit = Math.min(raised, outboundPostsPerDestinationMax);
  return limit === state.limit ? hold(next, 'at-most') : changed('raise', limit, 'fast');
}

/** A new limit begins with no evidence: what was seen under the old one does not count. */
function changedTo(state: ControllerState, limit: number, nowMs: number, holdMs: number): ControllerState {
  const raisedNotBeforeMs = Math.max(state.raisedNotBeforeMs, nowMs + holdMs);
  return { limit, samples: [], changedMs: nowMs, raisedNotBeforeMs, failuresInRow: 0 };
}

const tookMs = ({ startedMs, endedMs }: TransferSample): number => endedMs - startedMs;
/** What was given up counts as slow, however short our patience was; what broke at once is neither. */
const isSlow = (sample: TransferSample): boolean => sample.result === 'late' || tookMs(sample) >= slowMs;
const isFast = (sample: TransferSample): boolean => sample.result === 'done' && tookMs(sample) < fastMs;

function shareOf(samples: readonly TransferSample[], is: (sample: TransferSample) => boolean): number {
  return samples.filter(is).length / samples.length;
}
