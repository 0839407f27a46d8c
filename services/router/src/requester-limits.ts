/**
 * What a source, another service and an account may ask for (draft 9.1.2.1, semantics 8.4), beside what `source-limits.ts`
 * counts by transaction. Who is a little early waits, and is refused only when that does not help; who goes on after many
 * refusals is refused for a time before any work is done for it; and with many requests in work each gets less time, so
 * that what cannot be done in time makes room for what can.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  messagesPerDomainPerSecondMax,
  postsPerAccountPerHourMax,
  requestsInFlightMax,
  sourcesMax,
  transactionMsMax,
} from '@meshd/limits/limits';
import { peersKnownMax } from '@meshd/limits/peers';
import {
  abuseBarMs,
  abuseRefusalsPerMinuteMax,
  limitDelayMsMax,
  limitDelaysMax,
  messagesBurstSeconds,
  pressedTransactionMsMin,
  requestsPerSourcePerSecondMax,
} from '@meshd/limits/requesters';
import type { Clock } from '@meshd/process/clock';
import { type ErrorCode, MeshError } from '@meshd/schema/status';
import { LRUCache } from 'lru-cache';
import { RateLimiter } from './rate.js';
import { isLoopback } from './source.js';

/** Whom a limit is for. */
export type RequesterKind = 'source' | 'service' | 'account';

/** Numbers that tests change. */
export interface RequesterLimitOptions {
  readonly requestsPerSourcePerSecond?: number;
  readonly messagesPerDomainPerSecond?: number;
  readonly messagesPerAccountPerHour?: number;
  readonly refusalsPerMinute?: number;
  /** Whether the machine itself is counted like any other source. */
  readonly countLoopback?: boolean;
  /** Told of who is refused for a time from now on. */
  readonly onBarred?: (kind: RequesterKind, name: string) => void;
  /** Told of what was done, for the figures. */
  readonly onLimited?: (kind: RequesterKind, action: 'delayed' | 'refused' | 'barred') => void;
}

/** Refusals that show somebody who tries what is not his, or does not heed a limit; others happen to anybody. */
const suspicious: ReadonlySet<ErrorCode> = new Set([
  'signature-invalid',
  'payload-digest',
  'rate-limited',
  'malformed',
  // A body that did not come in time, not work of ours that took too long.
  'timeout',
]);

/** Limits by who asks. */
export class RequesterLimits {
  readonly #clock: Clock;
  readonly #options: RequesterLimitOptions;
  readonly #sources: RateLimiter;
  readonly #services: RateLimiter;
  readonly #accounts: RateLimiter;
  readonly #refusals: RateLimiter;
  /** Refused until, by kind and name. */
  readonly #barred = new LRUCache<string, number>({ max: sourcesMax });
  #waiting = 0;

  constructor(clock: Clock, options: RequesterLimitOptions = {}) {
    this.#clock = clock;
    this.#options = options;
    const perSecond = options.requestsPerSourcePerSecond ?? requestsPerSourcePerSecondMax;
    const ofDomain = options.messagesPerDomainPerSecond ?? messagesPerDomainPerSecondMax;
    const perHour = options.messagesPerAccountPerHour ?? postsPerAccountPerHourMax;
    const perMinute = options.refusalsPerMinute ?? abuseRefusalsPerMinuteMax;
    this.#sources = new RateLimiter({ perSecond, burst: perSecond, sourcesMax });
    this.#services = new RateLimiter({
      perSecond: ofDomain,
      burst: ofDomain * messagesBurstSeconds,
      sourcesMax: peersKnownMax,
    });
    this.#accounts = new RateLimiter({ perSecond: perHour / 3600, burst: perHour, sourcesMax });
    this.#refusals = new RateLimiter({ perSecond: perMinute / 60, burst: perMinute, sourcesMax });
  }

  /**
   * Counts a request of a source, before anything is verified.
   *
   * @throws MeshError `rate-limited`
   */
  async checkSource(source: string): Promise<void> {
    if (isLoopback(source) && !this.#options.countLoopback) return;
    await this.#take('source', source, this.#sources, 1);
  }

  /**
   * Counts messages of another service, once it is known that they are its own: nobody can use up another's share.
   *
   * @throws MeshError `rate-limited`
   */
  checkService(domain: string, messages: number): Promise<void> {
    return this.#take('service', domain, this.#services, messages);
  }

  /**
   * Counts messages of an account. One router sees a part of them only; the account's shard counts them all.
   *
   * @throws MeshError `rate-limited`
   */
  checkAccount(account: string, messages: number): Promise<void> {
    return this.#take('account', account, this.#accounts, messages);
  }

  /** For how long a source is refused, whatever it asks, milliseconds; 0: it is not. */
  barredMs(source: string): number {
    return Math.max(0, (this.#barred.get(`source ${source}`) ?? 0) - this.#clock());
  }

  /**
   * Refuses a source that is refused for a time, before its request is read.
   *
   * @throws MeshError `rate-limited`
   */
  refuseBarred(source: string): void {
    const barredMs = this.barredMs(source);
    if (barredMs > 0) throw this.#refusal('source', barredMs);
  }

  /** Notes a refusal: a source with too many of them is refused for a time. */
  refused(source: string, code: ErrorCode): void {
    if (isLoopback(source) && !this.#options.countLoopback) return;
    if (suspicious.has(code)) this.#strike('source', source);
  }

  async #take(kind: RequesterKind, name: string, limiter: RateLimiter, count: number): Promise<void> {
    const barredMs = (this.#barred.get(`${kind} ${name}`) ?? 0) - this.#clock();
    if (barredMs > 0) throw this.#refusal(kind, barredMs);
    let waitMs = limiter.take(name, this.#clock(), count);
    if (waitMs === 0) return;
    if (waitMs <= limitDelayMsMax && this.#waiting < limitDelaysMax) {
      this.#options.onLimited?.(kind, 'delayed');
      this.#waiting += 1;
      await pause(waitMs).finally(() => {
        this.#waiting -= 1;
      });
      waitMs = limiter.take(name, this.#clock(), count);
      if (waitMs === 0) return;
    }
    // A source's refusals are all noted when they are answered.
    if (kind !== 'source') this.#strike(kind, name);
    throw this.#refusal(kind, waitMs);
  }

  #refusal(kind: RequesterKind, retryAfterMs: number): MeshError {
    this.#options.onLimited?.(kind, 'refused');
    return new MeshError('rate-limited', '', { resource: kind, retryAfterMs });
  }

  #strike(kind: RequesterKind, name: string): void {
    const key = `${kind} ${name}`;
    if (this.#refusals.take(key, this.#clock(), 1) === 0) return;
    if ((this.#barred.get(key) ?? 0) > this.#clock()) return;
    this.#barred.set(key, this.#clock() + abuseBarMs);
    this.#options.onLimited?.(kind, 'barred');
    this.#options.onBarred?.(kind, name);
  }
}

/**
 * How long the router's own work on a request may take, milliseconds: all of the allowed time up to half of the requests
 * that may be in work, then less and less.
 */
export function workMsOf(inFlight: number, inFlightMax: number = requestsInFlightMax): number {
  const pressure = Math.min(1, Math.max(0, (2 * inFlight) / inFlightMax - 1));
  return Math.round(transactionMsMax - pressure * (transactionMsMax - pressedTransactionMsMin));
}
