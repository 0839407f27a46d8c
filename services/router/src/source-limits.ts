/** What one source may ask for in a time: counted before any signature is verified. */
import {
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
  readonly signedRefusalsPerSecond?: number;
  /** Whether the machine itself is counted like any other source. */
  readonly countLoopback?: boolean;
}

/** Limits by source. */
export class SourceLimits {
  readonly #hello: RateLimiter;
  readonly #createAccount: RateLimiter;
  readonly #refusals: RateLimiter;
  readonly #countLoopback: boolean;

  constructor(options: SourceLimitOptions = {}) {
    const perMinute = options.helloPerMinute ?? helloPerMinutePerSourceMax;
    const perHour = options.createAccountPerHour ?? createAccountPerHourPerSourceMax;
    const perSecond = options.signedRefusalsPerSecond ?? signedRefusalsPerSecondMax;
    this.#hello = new RateLimiter({ perSecond: perMinute / 60, burst: perMinute, sourcesMax });
    this.#createAccount = new RateLimiter({ perSecond: perHour / 3600, burst: perHour, sourcesMax });
    this.#refusals = new RateLimiter({ perSecond, burst: perSecond * signedRefusalsBurstSeconds, sourcesMax });
    this.#countLoopback = options.countLoopback ?? false;
  }

  /**
   * Counts a request.
   *
   * @throws MeshError `rate-limited`
   */
  check(transaction: Transaction, source: string, nowMs: number): void {
    if (transaction !== 'Hello' && transaction !== 'CreateAccount') return;
    if (isLoopback(source) && !this.#countLoopback) return;
    const limiters = transaction === 'Hello' ? [this.#hello] : [this.#hello, this.#createAccount];
    const waitMs = Math.max(...limiters.map((limiter) => limiter.take(source, nowMs)));
    if (waitMs > 0) throw new MeshError('rate-limited', '', { resource: transaction, retryAfterMs: waitMs });
  }

  /** Whether one more refusal of this source is worth a signature (S22). */
  maySignRefusal(source: string, nowMs: number): boolean {
    return this.#refusals.take(source, nowMs) === 0;
  }
}
