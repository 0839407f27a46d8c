import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { PeerGoneError, readBody } from './body-reader.js';
import { OctetBudget } from './octet-budget.js';
import { RateLimiter } from './rate.js';
import { isLoopback, sourceOf } from './source.js';

describe('sources', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::2%eth0', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, 'unknown'],
  ])('%s counts as %s', (address, expected) => {
    expect(sourceOf(address)).toBe(expected);
  });

  it('knows its own machine', () => {
    expect(['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.0.2.1'].map((text) => isLoopback(sourceOf(text)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('rates', () => {
  it('let a burst pass, then the rate, and say how long to wait', () => {
    const limiter = new RateLimiter({ perSecond: 2, burst: 3, sourcesMax: 10 });
    expect([0, 0, 0, 0].map((at) => limiter.take('a', at))).toEqual([0, 0, 0, 500]);
    expect(limiter.take('b', 0)).toBe(0);
    expect(limiter.take('a', 499)).toBeGreaterThan(0);
    expect(limiter.take('a', 1000)).toBe(0);
    // A clock that goes back gives nothing.
    expect(limiter.take('a', 0)).toBe(0);
    expect(limiter.take('a', 0)).toBeGreaterThan(0);
  });

  it('forget the source not seen for longest', () => {
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, sourcesMax: 2 });
    for (const source of ['a', 'b', 'c']) limiter.take(source, 0);
    expect(limiter.take('a', 0)).toBe(0);
  });
});

describe('octets in flight', () => {
  it('are bounded for one source and for all, and given back', () => {
    const budget = new OctetBudget({ bytesMax: 100, bytesPerSourceMax: 60 });
    const [a, b] = [budget.open('a'), budget.open('b')];
    a.grow(60);
    expect(() => budget.open('a').grow(1)).toThrow(/Rate limited/);
    expect(() => b.grow(41)).toThrow(/Overloaded/);
    a.release();
    a.release();
    b.grow(60);
    expect(budget.bytes).toBe(60);
    b.release();
    expect(budget.bytes).toBe(0);
  });
});

describe('bodies', () => {
  const share = () => new OctetBudget().open('a');
  const open = () => {
    const stream = new PassThrough();
    return { stream, request: stream as unknown as IncomingMessage };
  };
  const times = { windowMs: 20, windowBytesMin: 8, totalMs: 200 };

  it('are read whole', async () => {
    const { stream, request } = open();
    const body = readBody(request, 6, share());
    stream.write('abc');
    stream.end('def');
    expect((await body).toString()).toBe('abcdef');
  });

  it('must bring enough in every window, and end in time', async () => {
    const slow = open();
    const body = readBody(slow.request, undefined, share(), times);
    const dripping = setInterval(() => slow.stream.write('x'), 5);
    await expect(body).rejects.toMatchObject({ code: 'timeout' });
    clearInterval(dripping);
    const long = open();
    const endless = readBody(long.request, undefined, share(), times);
    const pouring = setInterval(() => long.stream.write('x'.repeat(100)), 5);
    const begun = Date.now();
    await expect(endless).rejects.toMatchObject({ code: 'timeout' });
    expect(Date.now() - begun).toBeGreaterThan(150);
    clearInterval(pouring);
  });

  it('that break off are nobody’s request', async () => {
    const gone = open();
    const body = readBody(gone.request, 100, share());
    gone.stream.write('x');
    gone.stream.destroy();
    await expect(body).rejects.toBeInstanceOf(PeerGoneError);
    const short = open();
    short.stream.end('x');
    await expect(readBody(short.request, 2, share())).rejects.toBeInstanceOf(PeerGoneError);
  });
});
