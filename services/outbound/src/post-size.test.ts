import { messageBytesMax, outboundTransactionMsMax } from '@meshd/limits/limits';
import { postBytesMax, postTargetMs } from '@meshd/limits/outbound';
import { describe, expect, it } from 'vitest';
import { afterPost, nextPostBytes, type PostRate } from './post-size.js';

/** Posts over a line of so many octets a second, each as large as the one before allows. */
function postsOver(bytesPerSecond: number, count: number): { bytes: number; tookMs: number }[] {
  let rate: PostRate;
  return Array.from({ length: count }, () => {
    const bytes = nextPostBytes(rate);
    const tookMs = 20 + (bytes / bytesPerSecond) * 1000;
    rate = afterPost(rate, bytes, tookMs, true);
    return { bytes, tookMs };
  });
}

describe('the size of a Post', () => {
  it('is one message before anything is known', () => {
    expect(nextPostBytes(undefined)).toBe(messageBytesMax);
  });

  it('settles where a Post takes about the time meant', () => {
    const last = postsOver(1_250_000, 60).at(-1);
    expect(last?.tookMs).toBeGreaterThan(0.8 * postTargetMs);
    expect(last?.tookMs).toBeLessThan(1.2 * postTargetMs);
  });

  it('never goes beyond its bound, nor below a full message where one takes a part of the time only', () => {
    expect(postsOver(1e9, 40).at(-1)?.bytes).toBe(postBytesMax);
    expect(postsOver(40_000, 40).at(-1)?.bytes).toBe(messageBytesMax);
  });

  it('falls after a Post that was given up', () => {
    const rate = afterPost(undefined, 1_000_000, 500, true);
    expect(nextPostBytes(afterPost(rate, 1_000_000, 5000, false))).toBeLessThan(nextPostBytes(rate));
  });

  it('stands a Post that took no time', () => {
    expect(nextPostBytes(afterPost(undefined, 1000, 0, true))).toBe(
      Math.round(Math.min(postBytesMax, Math.max(messageBytesMax, postTargetMs * 1000))),
    );
  });

  it('shrinks to what a peer gets done that is slow with each message, however small, instead of losing every Post', () => {
    const [smallBytes, eachMs] = [4096, 800];
    let rate: PostRate;
    const done: number[] = [];
    for (let at = 0; at < 60; at += 1) {
      const count = Math.max(1, Math.floor(nextPostBytes(rate) / smallBytes));
      const tookMs = Math.min(count * eachMs, outboundTransactionMsMax);
      const isDone = tookMs < outboundTransactionMsMax;
      if (isDone) done.push(count);
      rate = afterPost(rate, count * smallBytes, tookMs, isDone);
    }
    expect(done.length).toBeGreaterThan(40);
    expect(done.at(-1)).toBeLessThan(outboundTransactionMsMax / eachMs);
  });
});
