/** The rank test of Mann and Whitney: whether two samples can come from one distribution. */

/**
 * The two-sided probability of samples that differ so much in rank, if both come from one distribution; by the normal
 * approximation with ties, good from some twenty values each.
 */
export function rankTest(left: readonly number[], right: readonly number[]): number {
  const all = [...left.map((value) => ({ value, isLeft: true })), ...right.map((value) => ({ value, isLeft: false }))];
  all.sort((a, b) => a.value - b.value);
  let leftRanks = 0;
  let tied = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]?.value === all[from]?.value) to += 1;
    // Equal values share the mean of their ranks, which begin at 1.
    const rank = (from + 1 + to) / 2;
    leftRanks += rank * all.slice(from, to).filter(({ isLeft }) => isLeft).length;
    tied += (to - from) ** 3 - (to - from);
    from = to;
  }
  const [m, n, count] = [left.length, right.length, all.length];
  const u = leftRanks - (m * (m + 1)) / 2;
  const variance = ((m * n) / 12) * (count + 1 - tied / (count * (count - 1)));
  if (!(variance > 0)) return 1;
  const z = Math.max(0, Math.abs(u - (m * n) / 2) - 0.5) / Math.sqrt(variance);
  return 2 * upperTail(z);
}

/** Probability above z of the standard normal distribution (Abramowitz and Stegun 26.2.17, exact to 7.5e-8). */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const terms = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const sum = terms.reduce((total, term, at) => total + term * t ** (at + 1), 0);
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}
