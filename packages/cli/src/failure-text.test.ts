import { expect, it } from 'vitest';
import { failureText } from './failure-text.js';

it('says in a few words why an attempt failed', () => {
  expect(['transport', 'status-503', 'overloaded', 'something new'].map(failureText)).toEqual([
    ...['cannot connect, or the connection broke', 'it answers 503', 'overloaded', 'something new'],
  ]);
});
