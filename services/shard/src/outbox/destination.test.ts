import { destinationGoneMs, destinationRestMsMax, destinationRestMsMin } from '@meshd/limits/limits';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { afterAttempt, awakened, type DestinationState, freshDestination, restMsAfter, wordOf } from './destination.js';

const failed = { reached: false, failure: 'timeout', retryAfterMs: undefined };
const delivered = { reached: true, failure: '', retryAfterMs: undefined };
const middle = 0.5;

/** Fails as soon as each rest is over. */
function failedTimes(count: number, startMs = 1000): DestinationState {
  let state = freshDestination;
  let nowMs = startMs;
  for (let at = 0; at < count; at += 1) {
    state = afterAttempt(state, failed, nowMs, middle);
    nowMs = state.nextAttemptMs;
  }
  return state;
}

describe('destinations', () => {
  test('rest twice as long with each failure, up to an hour', () => {
    const rests = Array.from({ length: 12 }, (_, at) => restMsAfter(at + 1, middle) / 1000);
    expect(rests).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
  });

  test('rest a quarter more or less, by chance, and never over the most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
        const rest = restMsAfter(failures, chance);
        const even = Math.min(destinationRestMsMin * 2 ** (failures - 1), destinationRestMsMax);
        expect(rest).toBeGreaterThanOrEqual(Math.floor(even * 0.75));
        expect(rest).toBeLessThanOrEqual(Math.min(Math.ceil(even * 1.25), destinationRestMsMax));
      }),
    );
    expect(restMsAfter(1, 0)).toBeLessThan(restMsAfter(1, 0.9));
  });

  test('attempts that fail together are one failure', () => {
    const once = afterAttempt(freshDestination, failed, 1000, middle);
    expect(afterAttempt(once, failed, 4000, 0.9)).toEqual(once);
    expect(afterAttempt(once, failed, once.nextAttemptMs, middle).failures).toBe(2);
  });

  test('an answer without failure makes them healthy, and a held one stays held', () => {
    const failing = { ...failedTimes(4), held: true };
    expect(afterAttempt(failing, delivered, 99_000, middle)).toEqual({
      ...freshDestination,
      ...{ held: true, lastSuccessMs: 99_000 },
    });
  });

  test('a wish to wait is followed up to an hour', () => {
    const wish = (retryAfterMs: number) => ({ reached: true, failure: 'overloaded', retryAfterMs });
    expect(afterAttempt(failedTimes(5), wish(7000), 1_000_000, middle).nextAttemptMs).toBe(1_007_000);
    expect(afterAttempt(freshDestination, wish(1e12), 1000, middle).nextAttemptMs).toBe(1000 + destinationRestMsMax);
  });

  test('are gone after a day of failures, but not while they answer', () => {
    const silent = failedTimes(3);
    const dayLater = 1000 + destinationGoneMs;
    expect(wordOf(silent, dayLater - 1)).toBe('resting');
    expect(wordOf(silent, dayLater)).toBe('gone');
    const answering = { reached: true, failure: 'overloaded', retryAfterMs: undefined };
    expect(wordOf(afterAttempt(silent, answering, dayLater, middle), dayLater)).toBe('resting');
    expect(wordOf({ ...silent, held: true }, dayLater)).toBe('held');
    expect(wordOf(freshDestination, dayLater)).toBe('healthy');
  });

  test('that spoke are tried at once, and rest longer if that fails too', () => {
    const awake = awakened(failedTimes(3));
    expect(awake.nextAttemptMs).toBe(0);
    expect(afterAttempt(awake, failed, 10_000_000, middle).nextAttemptMs).toBe(10_000_000 + 40_000);
  });

  test('nothing that was not tried changes', () => {
    const untried = { reached: false, failure: '', retryAfterMs: undefined };
    const state = failedTimes(2);
    expect(afterAttempt(state, untried, 1e9, middle)).toBe(state);
  });
});
