import { describe, expect, it } from 'vitest';
import { sourceReport } from './report.js';
import type { SentOne } from './source.js';

const sent = (tookMs: number, result: SentOne['result'] = 'accepted'): SentOne => ({
  ...{ id: `N-${tookMs}`, recipient: 'bob@beta.test', result, tookMs },
});

describe('the report of a source', () => {
  it('counts results, and tells within what time so many were answered', () => {
    const times = Array.from({ length: 100 }, (_, at) => sent(at + 1));
    const report = sourceReport('alice@alpha.test', [...times].reverse(), 2000, new Map());
    expect(report).toMatchObject({ accepted: 100, refused: 0, failed: 0, seconds: 2, acceptedPerSecond: 50 });
    expect(report.answeredMs).toEqual({ p50: 50, p90: 90, p99: 99, max: 100 });
  });

  it('says of each message how it ended, where that is known', () => {
    const fates = new Map([['N-1', 'delivered' as const]]);
    const report = sourceReport('alice@alpha.test', [sent(1), sent(2, 'refused')], 1000, fates);
    expect(report.fates).toEqual({ delivered: 1 });
    expect(report.messages.map(({ id, fate }) => [id, fate])).toEqual([
      ['N-1', 'delivered'],
      ['N-2', undefined],
    ]);
  });

  it('is nothing but zeros where nothing was sent', () => {
    const report = sourceReport('alice@alpha.test', [], 0, new Map());
    expect(report).toMatchObject({ accepted: 0, acceptedPerSecond: 0, answeredMs: { p50: 0, max: 0 } });
  });
});
