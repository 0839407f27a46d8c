/** A few lines of the figure `controller`, small enough for every run of the tests. */
import { describe, expect, it } from 'vitest';
import { changingRun, compare, controlled, steadyRun } from './controller-runs.ts';

const shareMin = 0.9;
const lateShareMax = 0.01;
const short = { megabitsPerSecond: 10, delayMs: 5 };
const slow = { megabitsPerSecond: 1, delayMs: 200 };
const long = { megabitsPerSecond: 50, delayMs: 200 };

describe('[R178] [R179] the concurrency that the controller finds', () => {
  it.each([
    ['a slow, long line', steadyRun(1, slow)],
    ['the line of the draft', steadyRun(2, short)],
    ['a fast, long line', steadyRun(3, long)],
    ['a line that becomes slow', changingRun(4, short, slow)],
    ['a line that becomes fast', changingRun(5, slow, short)],
  ])('gets 0.9 of what the best fixed one gets: %s', { timeout: 120_000 }, (_what, run) => {
    const { share, lateShare } = compare(run);
    expect(share).toBeGreaterThanOrEqual(shareMin);
    expect(lateShare).toBeLessThan(lateShareMax);
  });

  it('is the same for the same seed', () => {
    const run = { ...changingRun(6, short, slow), untilMs: 110_000 };
    expect(controlled(run)).toEqual(controlled(run));
  });
});
