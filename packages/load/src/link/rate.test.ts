import { expect, it } from 'vitest';
import { Pace } from './pace.js';
import { readRate } from './rate.js';

it('reads the speed of a line as it is usually written, and nothing else', () => {
  expect(['10mbit', '512kbit', '1.5mbit', '1gbit', '9600bit'].map(readRate)).toEqual([
    10_000_000, 512_000, 1_500_000, 1_000_000_000, 9600,
  ]);
  for (const text of ['10', 'mbit', '10 mbit', '-1mbit', '0mbit', '10Mbit', '10mbps']) {
    expect(readRate(text)).toBeUndefined();
  }
});

it('lets octets pass at the pace of the line, one behind the other, and a burst at once after a pause', () => {
  const pace = new Pace(8000, 100);
  expect(pace.take(500, 0)).toBe(400);
  expect(pace.take(500, 0)).toBe(900);
  expect(pace.take(1000, 10_000)).toBe(10_900);
});

it('makes up for timers that come late, as far as a burst goes', () => {
  const pace = new Pace(8000, 100);
  let nowMs = 0;
  // Each wait ends 50 ms late, and yet the line is full.
  for (let sent = 0; sent < 20; sent += 1) nowMs = Math.max(nowMs, pace.take(500, nowMs)) + 50;
  expect(nowMs).toBe(20 * 500 - 100 + 50);
});
