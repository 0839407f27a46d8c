import { statusRegistry } from '@meshd/schema/status';
import { expect, test } from 'vitest';
import { codeOfFaults, conflict, extendedOf, isFault, reject } from './fault.js';

function answer(...faults: Parameters<typeof codeOfFaults>[0][number][]): string {
  const code = codeOfFaults(faults);
  return `${statusRegistry[code].status}/${extendedOf(code)}`;
}

test('without conflict the first fault decides', () => {
  expect(answer(reject(0, 'manifest', ''), reject(1, 'quota', ''))).toBe('400/23');
  expect(answer(reject(0, 'quota', ''), reject(1, 'manifest', ''))).toBe('403/19');
  expect(answer(reject(0, 'malformed', ''))).toBe('400/0');
});

test('[R273] any conflict makes it 409; the extended code stays that of the first fault', () => {
  expect(answer(conflict(0, 'index-mismatch', ''))).toBe('409/12');
  expect(answer(reject(0, 'event-rule', ''), conflict(1, 'index-mismatch', ''))).toBe('409/13');
  expect(answer(reject(0, 'payload-digest', ''), conflict(1, 'event-conflict', ''))).toBe('409/11');
  expect(answer(reject(0, 'malformed', ''), conflict(1, 'event-conflict', ''))).toBe('409/13');
});

test('a fault is told from what rules return when all is well', () => {
  expect([undefined, 'append', {}, [], { result: 1 }, reject(0, 'quota', '')].map(isFault)).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
});
