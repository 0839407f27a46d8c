import { describe, expect, it } from 'vitest';
import { durationText, isoTime, timeText } from './when.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

describe('times for people', () => {
  it('are short, and in UTC', () => {
    expect(timeText(Date.UTC(2026, 10, 23, 16, 44, 5))).toBe('2026-11-23 16:44');
    expect([isoTime(0), isoTime(undefined)]).toEqual(['1970-01-01T00:00:00.000Z', null]);
  });

  it('say how long something takes in the two units that matter', () => {
    const cases: [number, string][] = [
      [-5, '0 s'],
      [4400, '4 s'],
      [4 * minuteMs + 1, '4 min'],
      [3 * hourMs, '3 h'],
      [3 * hourMs + 20 * minuteMs, '3 h 20 min'],
      [47 * hourMs, '1 d 23 h'],
    ];
    for (const [ms, text] of cases) expect(durationText(ms)).toBe(text);
  });
});
