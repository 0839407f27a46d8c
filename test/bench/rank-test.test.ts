import { expect, it } from 'vitest';
import { rankTest } from './rank-test.js';

const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at);

it('the rank test tells samples apart that lie beside each other, and not those that lie in each other', () => {
  expect(rankTest(range(0, 50), range(50, 50))).toBeLessThan(1e-9);
  expect(rankTest(range(0, 50), range(0, 50))).toBeGreaterThan(0.9);
  expect(rankTest([5, 5, 5], [5, 5, 5])).toBe(1);
});

it('the rank test gives the probability that tables give', () => {
  const left = [1, 2, 3, 4, 5, 6, 11, 12, 16, 18];
  const right = [7, 8, 9, 10, 13, 14, 15, 17, 19, 20];
  const u = left.reduce((sum, a) => sum + right.filter((b) => b < a).length, 0);
  expect(u).toBe(23);
  expect(rankTest(left, right)).toBeCloseTo(0.0452, 4);
});
