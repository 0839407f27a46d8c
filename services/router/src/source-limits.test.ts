import { connectPerHourPerSourceMax } from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import { expect, test } from 'vitest';
import { SourceLimits } from './source-limits.js';

const hourMs = 3_600_000;

test('[S84] a source asks to be connected ten times an hour, whatever the accounts; others are not kept from it', () => {
  const limits = new SourceLimits();
  const asks = (source: string, nowMs: number) => {
    try {
      limits.check('Connect', source, nowMs);
      return 'taken';
    } catch (error) {
      return error instanceof MeshError ? error.code : String(error);
    }
  };
  const answers = Array.from({ length: connectPerHourPerSourceMax + 1 }, () => asks('192.0.2.1', 0));
  expect(answers.filter((each) => each === 'taken')).toHaveLength(connectPerHourPerSourceMax);
  expect(answers.at(-1)).toBe('rate-limited');
  expect(asks('192.0.2.2', 0)).toBe('taken');
  expect(asks('192.0.2.1', hourMs)).toBe('taken');
  // Waiting for the answer is another transaction, and costs nothing of it.
  expect(() => limits.check('Complete', '192.0.2.1', 0)).not.toThrow();
});
