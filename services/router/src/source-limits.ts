/** What one source may ask for in a time: counted before any signature is verified. */
import {
  connectPerHourPerSourceMax,
  createAccountPerHourPerSourceMax,
  helloPerMinutePerSourceMax,
  signedRefusalsBurstSeconds,
  signedRefusalsPerSecondMax,
  sourcesMax,
} from '@meshd/limits/limits';
import type { Transaction } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import { RateLimiter } from './rate.js';
import { isLoopback } from './source.js';

/** Numbers that tests change. */
export interface SourceLimitOptions {
  readonly helloPerMinute?: number;
  readonly createAccountPerHour?: number;
  readonly connectPerHour?: number;
  readonly signedRefusalsPerSecond?: number;
  /** Whether the machine itself is counted like any other source. */
  readonly countLoopback?: boolean;
}

/** Limits by source. */
export class SourceLimits {
  readonly #ofTransaction: Partial<Record<Transaction, readonly RateLimiter[]>>;
  readonly #refusals: RateLimiter;
  readonly #countLoopback: boolean;

  constructor(options: SourceLimitOptions = {}) {
    const perMinute = options.helloPerMinute ?? helloPerMinutePerSourceMax;
    const perHour = (count: number) => new RateLimiter({ perSecond: count / 3600, burst: count, sourcesMax });
    const perSecond = options.signedRefusalsPerSecond ?? signedRefusalsPerSecondMax;
    const hello = new RateLimiter({ perSecond: perMinute / 60, burst: perMinute, sourcesMax });
    this.#ofTransaction = {
      Hello: [hello],
      CreateAccount: [hello, perHour(options.createAccountPerHour ?? createAccountPerHourPerSourceMax)],
      Connect: [hello, perHour(options.connectPerHour ?? connectPerHourPerSourceMax)],
    };
    this.#refusals = new RateLimiter({ perSecond, burst: perSecond * signedRefusalsBurstSeconds, sourcesMax });
    this.#countLoopback = options.countLoopback ?? false;
  }

  /**
   * Counts a request.
   *
   * @throws MeshError `rate-limited`
   */
  check(transaction: Transaction, source: string, nowMs: number): void {
    const limiters = this.#ofTransaction[transaction];
    if (limiters === undefined || (isLoopback(source) && !this.#countLoopback)) return;
    const waitMs = Math.max(...limiters.map((limiter) => limiter.take(source, nowMs)));
    if (waitMs > 0) throw new MeshError('rate-limited', '', { resource: transaction, retryAfterMs: waitMs });
  }

  /** Whether one more refusal of this source is worth a signature (S22). */
  maySignRefusal(source: string, nowMs: number): boolean {
    return this.#refusals.take(source, nowMs) === 0;
  }
}
