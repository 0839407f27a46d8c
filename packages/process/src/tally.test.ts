import { expect, it } from 'vitest';
import { Tally } from './tally.js';

it('tells of a subject at once, then once in a time, with the number of those between', () => {
  const tally = new Tally({ everyMs: 100, subjectsMax: 10 });
  const told = [0, 1, 50, 99, 100, 101, 250].map((nowMs) => tally.count('a', nowMs));
  expect(told).toEqual([1, undefined, undefined, undefined, 4, undefined, 2]);
  expect(tally.count('b', 250, 7)).toBe(7);
});

it('remembers so many subjects, the newest', () => {
  const tally = new Tally({ everyMs: 100, subjectsMax: 2 });
  for (const subject of ['a', 'b', 'c']) expect(tally.count(subject, 0)).toBe(1);
  expect(['c', 'b', 'a'].map((subject) => tally.count(subject, 1))).toEqual([undefined, undefined, 1]);
});
