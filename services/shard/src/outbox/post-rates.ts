import { accountStatesMax, postsPerAccountPerHourMax } from '@meshd/limits/limits';
import { postRateMs } from '@meshd/limits/outbox';
import { LRUCache } from 'lru-cache';

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/**
 * How many messages an account may send, each counted for each of its recipients: a bucket that fills evenly, in memory
 * alone. Only the shard that owns an account takes its messages.
 */
export class PostRates {
  readonly #perHourMax: number;
  readonly #buckets = new LRUCache<string, Bucket>({ max: accountStatesMax });

  constructor(perHourMax: number = postsPerAccountPerHourMax) {
    this.#perHourMax = perHourMax;
  }

  /**
   * Takes `count` from an account's bucket.
   *
   * @returns milliseconds to wait where there are not so many in it; then nothing was taken.
   */
  take(address: string, count: number, nowMs: number): number | undefined {
    const perMs = this.#perHourMax / postRateMs;
    const before = this.#buckets.get(address) ?? { tokens: this.#perHourMax, atMs: nowMs };
    const tokens = Math.min(this.#perHourMax, before.tokens + Math.max(0, nowMs - before.atMs) * perMs);
    if (tokens < count) return Math.ceil((count - tokens) / perMs);
    this.#buckets.set(address, { tokens: tokens - count, atMs: nowMs });
    return undefined;
  }
}
