/**
 * The concurrency that the outbound worker's controller finds, over simulated lines of all speeds and lengths, steady and
 * changing: what comes through in the worst stretch from 30 s on, beside the best number of Posts that never changes. Each
 * round takes another seed and tells of the line that fared worst. The second figure is the share of Posts given up.
 */
import { type Comparison, changingRuns, compare, steadyRuns } from '../simulation/controller-runs.ts';
import type { Figure, Measurement } from './harness.ts';

const lateShareMax = 0.01;
/** Rounds of both figures look at the same runs. */
const compared = new Map<number, readonly Comparison[]>();

function comparisons(seed: number): readonly Comparison[] {
  const known = compared.get(seed) ?? [...steadyRuns(seed), ...changingRuns(seed)].map(compare);
  compared.set(seed, known);
  return known;
}

/** Rounds one after the other, the worst line of each by a measure that should be large. */
function worstOf(
  measure: (of: Comparison) => number,
  roundOf: (worst: Comparison) => { value: number; limit: number },
) {
  return (): Measurement => {
    let seed = 0;
    const worst: Comparison[] = [];
    return {
      round() {
        seed += 1000;
        const found = comparisons(seed).reduce((a, b) => (measure(b) < measure(a) ? b : a));
        worst.push(found);
        return roundOf(found);
      },
      details: () => ({ lines: comparisons(seed).length, worst: worst.map(({ name }) => name) }),
    };
  };
}

export const controllerGoodput: Figure = {
  name: 'controller',
  unit: 'bytesPerSecond',
  target: 0.9,
  direction: 'at least',
  limitIs: 'the best fixed number of Posts on the line that fared worst',
  prepare: worstOf(
    ({ share }) => share,
    ({ bytesPerSecond, bestBytesPerSecond }) => ({ value: bytesPerSecond, limit: bestBytesPerSecond }),
  ),
};

export const controllerLate: Figure = {
  name: 'controller-late',
  unit: 'shareOfPosts',
  target: 1,
  direction: 'at most',
  limitIs: 'one Post in a hundred given up, on the line where most are',
  prepare: worstOf(
    ({ lateShare }) => -lateShare,
    ({ lateShare }) => ({ value: lateShare, limit: lateShareMax }),
  ),
};
