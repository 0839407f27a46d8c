import {
  destinationGoneMs,
  destinationRestJitter,
  destinationRestMsMax,
  destinationRestMsMin,
  destinationRetryAfterMsMax,
} from '@meshd/limits/limits';

/*
 * What is known of a domain that messages go to, and what each attempt makes of it (semantics 8.1, design 6): pure
 * functions, time and chance passed in. State belongs to the destination, not to messages: a dead one is asked once in a
 * while, however many messages wait for it.
 */

/** What is known of a destination. Times are Unix milliseconds. */
export interface DestinationState {
  /** Failed attempts in a row. */
  readonly failures: number;
  /** When they began; null where there are none. */
  readonly failingSinceMs: number | null;
  /** Name of the last failure; empty: none. */
  readonly lastFailure: string;
  /** 0: never. */
  readonly lastFailureMs: number;
  /** 0: never. */
  readonly lastSuccessMs: number;
  /** Nothing is sent before this; 0: at any time. */
  readonly nextAttemptMs: number;
  /** By an operator: nothing is sent until it is released. */
  readonly held: boolean;
}

/** A destination that was never tried. */
export const freshDestination: DestinationState = {
  ...{ failures: 0, failingSinceMs: null, lastFailure: '', lastFailureMs: 0 },
  ...{ lastSuccessMs: 0, nextAttemptMs: 0, held: false },
};

/** What an attempt found out about the destination. */
export interface AttemptOutcome {
  /** An authenticated answer came. */
  readonly reached: boolean;
  /** Name of the failure; empty: none. */
  readonly failure: string;
  /** What the peer asked for, milliseconds. */
  readonly retryAfterMs: number | undefined;
}

/** The words of {@link wordOf}, which operators read. */
export type DestinationWord = 'healthy' | 'resting' | 'gone' | 'held';

/** Attempts in flight when an outage begins fail one after the other; so long after a failure they are still of it. */
const sameOutageMs = destinationRestMsMin * (1 - destinationRestJitter);

/**
 * The state after an attempt.
 *
 * A failure lets the destination rest, twice as long each time; the many attempts that fail together count as one. An
 * authenticated failure (the peer is overloaded) keeps it from ever being gone, and its wish to wait is followed.
 *
 * @param chance from 0 up to 1, for the jitter.
 */
export function afterAttempt(
  before: DestinationState,
  outcome: AttemptOutcome,
  nowMs: number,
  chance: number,
): DestinationState {
  const { reached, failure, retryAfterMs } = outcome;
  if (failure === '') {
    if (!reached) return before;
    return { ...freshDestination, held: before.held, lastSuccessMs: nowMs };
  }
  const isSameOutage = before.failures > 0 && nowMs - before.lastFailureMs < sameOutageMs;
  const failures = isSameOutage ? before.failures : before.failures + 1;
  const wish = retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, destinationRetryAfterMsMax);
  const restMs = wish ?? restMsAfter(failures, chance);
  return {
    ...before,
    failures,
    failingSinceMs: reached ? nowMs : (before.failingSinceMs ?? nowMs),
    lastFailure: failure,
    lastFailureMs: isSameOutage ? before.lastFailureMs : nowMs,
    nextAttemptMs: isSameOutage && wish === undefined ? before.nextAttemptMs : nowMs + restMs,
  };
}

/** Milliseconds of rest after so many failures in a row. */
export function restMsAfter(failures: number, chance: number): number {
  const rest = Math.min(destinationRestMsMin * 2 ** (failures - 1), destinationRestMsMax);
  const jittered = rest * (1 + destinationRestJitter * (2 * chance - 1));
  return Math.round(Math.min(jittered, destinationRestMsMax));
}

/** An authenticated request came from there, or an operator wants it tried: the rest is over, the failures are not forgotten. */
export function awakened(before: DestinationState): DestinationState {
  return { ...before, nextAttemptMs: 0 };
}

/** The state in a word. */
export function wordOf(state: DestinationState, nowMs: number): DestinationWord {
  if (state.held) return 'held';
  if (state.failingSinceMs === null) return 'healthy';
  return nowMs - state.failingSinceMs >= destinationGoneMs ? 'gone' : 'resting';
}
