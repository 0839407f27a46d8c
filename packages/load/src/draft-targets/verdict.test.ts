import { describe, expect, it } from 'vitest';
import { type LoadedMessage, percentilesOf, verdictOf } from './verdict.js';

/** Messages sent at 20 a second, each answered after a time. */
const answered = (count: number, tookMs: (at: number) => number): LoadedMessage[] =>
  Array.from({ length: count }, (_, at) => {
    return { id: `m${at}`, result: 'accepted', tookMs: tookMs(at), answeredMs: at * 50 + tookMs(at) };
  });
const all = (messages: readonly LoadedMessage[]) => new Set(messages.map(({ id }) => id));

describe('the verdict on a run', () => {
  it('is good where all were taken in time, arrived, and the rate was kept', () => {
    const messages = answered(100, () => 120);
    const verdict = verdictOf({ messages, perSecond: 20, arrived: all(messages) });
    expect(verdict).toMatchObject({ held: true, accepted: 100, lost: 0, late: 0, answeredPerSecond: 20 });
    expect(verdict.transactionMs).toMatchObject({ p50: 120, max: 120 });
  });

  it('[R177] is bad where one transaction took more than five seconds', () => {
    const messages = answered(100, (at) => (at === 50 ? 5001 : 100));
    expect(verdictOf({ messages, perSecond: 20, arrived: all(messages) })).toMatchObject({ held: false, late: 1 });
  });

  it('[R176] is bad where answers fall behind, though none is late by itself', () => {
    const messages = answered(100, (at) => at * 20);
    expect(verdictOf({ messages, perSecond: 20, arrived: all(messages) })).toMatchObject({ held: false, late: 0 });
  });

  it('is bad where a message got lost, was refused, or nothing was sent', () => {
    const messages = answered(10, () => 10);
    const arrived = new Set([...all(messages)].slice(1));
    expect(verdictOf({ messages, perSecond: 20, arrived })).toMatchObject({ held: false, lost: 1 });
    const refused = messages.map((one, at): LoadedMessage => {
      return at === 0 ? { ...one, result: 'refused', reason: '403/0' } : one;
    });
    const verdict = verdictOf({ messages: refused, perSecond: 20, arrived: all(messages) });
    expect(verdict).toMatchObject({ held: false, refused: 1, reasons: { '403/0': 1 } });
    expect(verdictOf({ messages: [], perSecond: 20, arrived: new Set() }).held).toBe(false);
  });
});

it('percentiles are by nearest rank', () => {
  const times = Array.from({ length: 200 }, (_, at) => 200 - at);
  expect(percentilesOf(times)).toEqual({ p50: 100, p90: 180, p99: 198, p999: 200, max: 200 });
});
