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

it('lets octets pass at the pace of the line, one behind the other, and keeps no credit from idle times', () => {
  const pace = new Pace(8000);
  expect(pace.take(500, 0)).toBe(500);
  expect(pace.take(500, 0)).toBe(1000);
  expect(pace.take(1000, 10_000)).toBe(11_000);
});
