/** Token buckets, one a source, in bounded memory. */
import { LRUCache } from 'lru-cache';

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** How fast a bucket fills and how much it holds. */
export interface RateOptions {
  readonly perSecond: number;
  /** Tokens that can be saved up; also what a new source begins with. */
  readonly burst: number;
  /** Sources remembered; the one not seen for longest is forgotten, and begins anew with a full bucket. */
  readonly sourcesMax: number;
}

/** Counts what each source takes. */
export class RateLimiter {
  readonly #options: RateOptions;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(options: RateOptions) {
    this.#options = options;
    this.#buckets = new LRUCache({ max: options.sourcesMax });
  }

  /**
   * Takes tokens, all or none.
   *
   * @returns 0 if there were enough, else the milliseconds until there are
   */
  take(source: string, nowMs: number, count = 1): number {
    const { perSecond, burst } = this.#options;
    const bucket = this.#buckets.get(source) ?? { tokens: burst, filledMs: nowMs };
    const gainedMs = Math.max(0, nowMs - bucket.filledMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (gainedMs * perSecond) / 1000);
    bucket.filledMs = nowMs;
    this.#buckets.set(source, bucket);
    if (bucket.tokens < count) return Math.ceil(((count - bucket.tokens) * 1000) / perSecond);
    bucket.tokens -= count;
    return 0;
  }
}
