import { expect, test } from 'vitest';
import { brokenRelations } from './relations.js';

test('the limits fit each other', () => {
  expect(brokenRelations()).toEqual([]);
});
