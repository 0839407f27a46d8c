import { expect, test } from 'vitest';
import { advertisedFeatures, featureWords, understands } from './features.js';

test('only words of the list are advertised, each once', () => {
  expect(new Set(advertisedFeatures).size).toBe(advertisedFeatures.length);
  expect(advertisedFeatures.filter((word) => !featureWords.includes(word))).toEqual([]);
});

test('a peer understands what it names; words that we do not know are no fault', () => {
  expect(understands(['auth-1', 'invented-9'], 'auth-1')).toBe(true);
  expect(understands(['AUTH-1'], 'auth-1')).toBe(false);
  expect(understands(undefined, 'auth-1')).toBe(false);
});
