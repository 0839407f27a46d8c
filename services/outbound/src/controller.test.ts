import { controllerHoldMs, controllerLimitStart, outboundPostsPerDestinationMax } from '@meshd/limits/outbound';
import { describe, expect, it } from 'vitest';
import { afterTransfer, type ControllerState, newController, type TransferSample } from './controller.js';

/** A controller under transfers that end one after the other, a millisecond apart. */
class Driven {
  state: ControllerState;
  nowMs = 1_000_000;
  readonly told: string[] = [];

  constructor(limit?: number) {
    const fresh = newController(this.nowMs);
    this.state = limit === undefined ? fresh : { ...fresh, limit };
  }

  /** `count` transfers that took so long, with as many in work as may be unless it is said otherwise. */
  ends(count: number, tookMs: number, more: Partial<Pick<TransferSample, 'result' | 'inWork'>> = {}): this {
    const startedMs = this.nowMs;
    this.nowMs += tookMs;
    for (let at = 0; at < count; at += 1) {
      this.nowMs += 1;
      this.take({ result: 'done', inWork: this.state.limit, ...more, startedMs, endedMs: this.nowMs });
    }
    return this;
  }

  take(sample: TransferSample): this {
    const { state, decision } = afterTransfer(this.state, sample);
    this.state = state;
    this.told.push(`${decision.change} ${decision.reason}`);
    return this;
  }

  get last(): string | undefined {
    return this.told.at(-1);
  }
}

describe('[R178] [R179] the limit of Posts at a time', () => {
  it('begins with a few', () => {
    expect(new Driven().state.limit).toBe(controllerLimitStart);
  });

  it('rises where 90 % are done within a second: doubled below ten, then by a tenth', () => {
    const driven = new Driven(8);
    expect(driven.ends(16, 500).state.limit).toBe(16);
    expect(driven.last).toBe('raise fast');
    expect(driven.ends(20, 500).state.limit).toBe(18);
    expect(new Driven(40).ends(20, 500).state.limit).toBe(44);
  });

  it('never rises beyond what one destination may have', () => {
    const driven = new Driven(outboundPostsPerDestinationMax).ends(20, 500);
    expect([driven.state.limit, driven.last]).toEqual([outboundPostsPerDestinationMax, 'hold at-most']);
  });

  it('falls at once by three tenths where 40 % take four seconds', () => {
    const driven = new Driven(20).ends(12, 1500).ends(8, 4000);
    expect([driven.state.limit, driven.last]).toEqual([14, 'lower slow']);
    expect(new Driven(20).ends(13, 1500).ends(7, 4000).last).toBe('hold between');
  });

  it('counts what was given up as slow, however short the patience', () => {
    const driven = new Driven(20).ends(12, 100).ends(8, 200, { result: 'late' });
    expect([driven.state.limit, driven.last]).toEqual([14, 'lower slow']);
  });

  it('stays in the band between', () => {
    expect(new Driven(16).ends(60, 2500).told.at(-1)).toBe('hold between');
    expect(new Driven(16).ends(18, 1500).ends(2, 500).last).toBe('hold between');
  });

  it('wants some samples before anything, fewer where few are in work', () => {
    expect(new Driven(16).ends(19, 500).told).toEqual(Array(19).fill('hold few-samples'));
    expect(new Driven(1).ends(7, 500).last).toBe('hold few-samples');
    expect(new Driven(1).ends(8, 500).last).toBe('raise fast');
  });

  it('does not rise unless at least half of it was in use', () => {
    expect(new Driven(16).ends(20, 500, { inWork: 7 }).last).toBe('hold unused');
    expect(new Driven(16).ends(20, 500, { inWork: 8 }).last).toBe('raise fast');
  });

  it('does not rise soon after it fell', () => {
    const driven = new Driven(20).ends(20, 4000);
    expect(driven.last).toBe('lower slow');
    expect(driven.ends(20, 500).last).toBe('hold lowered-lately');
    driven.nowMs += controllerHoldMs;
    expect(driven.ends(1, 500).last).toBe('raise fast');
  });

  it('judges nothing by transfers that began under another limit', () => {
    const driven = new Driven(8).ends(20, 500);
    const startedMs = driven.state.changedMs - 1;
    driven.take({ startedMs, endedMs: driven.nowMs, result: 'done', inWork: 8 });
    expect([driven.last, driven.state.samples]).toEqual(['hold began-before', []]);
  });
});

describe('[R179] a few Posts at a time', () => {
  it('get one more where a second is mostly the way: twice the load would not be slow', () => {
    const driven = new Driven(1).ends(8, 1200);
    expect([driven.state.limit, driven.last]).toEqual([2, 'raise few-in-work']);
    expect(driven.ends(8, 1900).state.limit).toBe(3);
  });

  it('stay where it might be slow, and where they are not few', () => {
    expect(new Driven(2).ends(8, 2000).last).toBe('hold between');
    expect(new Driven(10).ends(20, 1200).last).toBe('hold between');
  });
});

describe('[R178] failures in a row', () => {
  it('as many as were in work are an outage: the limit begins at one', () => {
    const driven = new Driven(16).ends(15, 100, { result: 'failed' });
    expect(driven.state.limit).toBe(16);
    expect(driven.ends(1, 100, { result: 'failed' }).state.limit).toBe(1);
    expect(driven.last).toBe('outage cohort-failed');
  });

  it('are counted through a limit that falls meanwhile: what began before it failed all the same', () => {
    const driven = new Driven(40);
    const startedMs = driven.nowMs;
    for (let at = 0; at < 40 && driven.state.limit > 1; at += 1) {
      driven.take({ startedMs, endedMs: startedMs + 5000 + at, result: 'late', inWork: 40 });
    }
    expect(driven.told).toContain('lower slow');
    expect(driven.last).toBe('outage cohort-failed');
  });

  it('of an outage that was seen are not another one', () => {
    const driven = new Driven(4).ends(4, 100, { result: 'failed' });
    expect(driven.last).toBe('outage cohort-failed');
    const startedMs = driven.state.changedMs - 50;
    driven.take({ startedMs, endedMs: driven.nowMs + 10, result: 'failed', inWork: 4 });
    expect([driven.last, driven.state.limit]).toEqual(['hold began-before', 1]);
    expect(driven.ends(1, 100, { result: 'failed', inWork: 1 }).last).toBe('outage cohort-failed');
  });

  it('end with one success', () => {
    const driven = new Driven(4).ends(3, 100, { result: 'failed' }).ends(1, 100).ends(3, 100, { result: 'failed' });
    expect(driven.state.limit).toBe(4);
  });
});
