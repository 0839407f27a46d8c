/**
 * How many Posts may be in work for one destination (semantics 8.4), as a pure function of state and sample.
 *
 * The draft's rule looks at the last transfers: where 40 % took 4 s or more the limit falls, where 90 % were done within a
 * second it may rise, between the two it stays. Around that rule stand five guards. Transfers that began before the last
 * change say nothing about it, except that they failed. A limit that was not used is not raised. Nothing is raised soon after
 * something was lowered. A whole cohort of failures, as many in a row as were in work, is an outage and no slow line: the
 * limit begins at one. And a few at a time are not held by a second that is mostly the way there and back: one more is tried
 * as long as twice the load would not be slow.
 *
 * `test/simulation` shows what it gets through lines of all speeds and lengths.
 */
import {
  controllerHoldMs,
  controllerLimitStart,
  controllerSamplesFewMin,
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
  /** Failures of transfers that began before are of an outage that was seen already. */
  readonly failuresFromMs: number;
}

/** What a sample led to. `reason` is one of few words, for logs and figures. */
export interface ControllerDecision {
  readonly change: 'raise' | 'lower' | 'outage' | 'hold';
  readonly reason:
    | 'fast'
    | 'few-in-work'
    | 'slow'
    | 'cohort-failed'
    | 'few-samples'
    | 'began-before'
    | 'between'
    | 'unused'
    | 'lowered-lately'
    | 'at-most';
}

/*
 * The draft's thresholds (9.1.2.1), and by how much a limit changes. They are the rule itself and no bounds: the rule reads best
 * with them beside it. What bounds it (samples, window, most at once) stands in `packages/limits`.
 */

const slowMs = 4000;
const slowShare = 0.4;
const fastMs = 1000;
const fastShare = 0.9;
/** What a limit falls to, as a share of itself. */
const loweredTo = 0.7;
/** Below this it doubles, from here on it grows by a tenth. */
const doubledBelow = 10;
const raisedBy = 0.1;
/** Twice the load takes at most twice as long: below this it would still not be slow. */
const unhurriedMs = slowMs / 2;
/** Samples that are wanted for each transfer that may be in work, between the least and the usual number. */
const samplesOfOne = 2;

/** A destination that nothing is known of. */
export function newController(nowMs: number): ControllerState {
  const guards = { changedMs: nowMs, raisedNotBeforeMs: nowMs, failuresInRow: 0, failuresFromMs: nowMs };
  return { limit: controllerLimitStart, samples: [], ...guards };
}

/** The state after one more transfer, and what was decided. */
export function afterTransfer(
  state: ControllerState,
  sample: TransferSample,
): { readonly state: ControllerState; readonly decision: ControllerDecision } {
  const hold = (next: ControllerState, reason: ControllerDecision['reason']) =>
    ({ state: next, decision: { change: 'hold', reason } }) as const;
  const failuresInRow = failuresAfter(state, sample);
  const isOlder = sample.startedMs < state.changedMs;
  const samples = isOlder ? state.samples : samplesAfter(state, sample);
  const next = { ...state, samples, failuresInRow };
  const changed = (change: 'raise' | 'lower' | 'outage', limit: number, reason: ControllerDecision['reason']) => ({
    state: changedTo(next, change, limit, sample.endedMs),
    decision: { change, reason },
  });
  const inWorkMax = samples.reduce((most, { inWork }) => Math.max(most, inWork), sample.inWork);
  if (failuresInRow >= Math.min(state.limit, inWorkMax)) return changed('outage', 1, 'cohort-failed');
  if (isOlder) return hold(next, 'began-before');
  if (samples.length < samplesMin(state.limit)) return hold(next, 'few-samples');
  if (shareOf(samples, isSlow) >= slowShare) {
    return changed('lower', Math.max(1, Math.floor(state.limit * loweredTo)), 'slow');
  }
  const isAllFast = shareOf(samples, isFast) >= fastShare;
  const mayTryOne = state.limit < doubledBelow && shareOf(samples, isUnhurried) >= fastShare;
  if (!isAllFast && !mayTryOne) return hold(next, 'between');
  if (inWorkMax * 2 < state.limit) return hold(next, 'unused');
  if (sample.endedMs < state.raisedNotBeforeMs) return hold(next, 'lowered-lately');
  const limit = Math.min(isAllFast ? raised(state.limit) : state.limit + 1, outboundPostsPerDestinationMax);
  if (limit === state.limit) return hold(next, 'at-most');
  return changed('raise', limit, isAllFast ? 'fast' : 'few-in-work');
}

function failuresAfter({ failuresInRow, failuresFromMs }: ControllerState, sample: TransferSample): number {
  if (sample.result === 'done') return 0;
  return sample.startedMs < failuresFromMs ? failuresInRow : failuresInRow + 1;
}

function samplesAfter({ samples }: ControllerState, sample: TransferSample): TransferSample[] {
  const isRecent = ({ endedMs }: TransferSample) => sample.endedMs - endedMs <= controllerWindowMs;
  return [...samples, sample].filter(isRecent).slice(-controllerSamplesMax);
}

/** A few at a time would take too long to give as many samples as many do. */
const samplesMin = (limit: number): number =>
  Math.min(controllerSamplesMin, Math.max(controllerSamplesFewMin, limit * samplesOfOne));

const raised = (limit: number): number => (limit < doubledBelow ? limit * 2 : Math.ceil(limit * (1 + raisedBy)));

/** A new limit begins with no evidence: what was seen under the old one does not count. */
function changedTo(
  state: ControllerState,
  change: 'raise' | 'lower' | 'outage',
  limit: number,
  nowMs: number,
): ControllerState {
  const holdMs = change === 'raise' ? 0 : controllerHoldMs;
  const raisedNotBeforeMs = Math.max(state.raisedNotBeforeMs, nowMs + holdMs);
  const changed = { ...state, limit, samples: [], changedMs: nowMs, raisedNotBeforeMs };
  return change === 'outage' ? { ...changed, failuresInRow: 0, failuresFromMs: nowMs } : changed;
}

const tookMs = ({ startedMs, endedMs }: TransferSample): number => endedMs - startedMs;
/** What was given up counts as slow, however short our patience was; what broke at once is neither. */
const isSlow = (sample: TransferSample): boolean => sample.result === 'late' || tookMs(sample) >= slowMs;
const isFast = (sample: TransferSample): boolean => sample.result === 'done' && tookMs(sample) < fastMs;
const isUnhurried = (sample: TransferSample): boolean => sample.result === 'done' && tookMs(sample) < unhurriedMs;

function shareOf(samples: readonly TransferSample[], is: (sample: TransferSample) => boolean): number {
  return samples.filter(is).length / samples.length;
}
