import { messageBytesMax } from '@meshd/limits/limits';
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

  it('never goes beyond its bound, nor below one message', () => {
    expect(postsOver(1e9, 40).at(-1)?.bytes).toBe(postBytesMax);
    expect(postsOver(1000, 40).at(-1)?.bytes).toBe(messageBytesMax);
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
});
