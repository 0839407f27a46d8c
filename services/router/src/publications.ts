/**
 * What accounts publish, for anybody who knows an identifier (semantics 7.6): ciphertext by GET, no envelope around it and no
 * signature; who has the key sees whether it is what he came for. It goes out as what it is, and no browser is to take it
 * for anything else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { domainOfHost } from '@meshd/binding/http-server';
import { publicationFetchMsMax, publicationsPerMinutePerSourceMax } from '@meshd/limits/hailing';
import { sourcesMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import { mediaTypeJson } from '@meshd/schema/features';
import { isPublicationIdentifier } from '@meshd/schema/publication';
import { MeshError } from '@meshd/schema/status';
import type { RouterMetrics } from './metrics.js';
import { RateLimiter } from './rate.js';
import { refusal } from './reply.js';
import { sendAndLinger } from './respond.js';
import { requireSuccess, type ShardRouter } from './shard-router.js';
import { isLoopback, sourceOf } from './source.js';

/** What {@link Publications} needs. */
export interface PublicationsOptions {
  readonly domains: ReadonlySet<string>;
  readonly shards: Pick<ShardRouter, 'transact'>;
  readonly metrics: RouterMetrics;
  readonly clock: Clock;
  readonly limits?: PublicationLimitOptions | undefined;
}

/** Numbers that tests change. */
export interface PublicationLimitOptions {
  readonly perMinute?: number;
  /** Whether the machine itself is counted like any other source. */
  readonly countLoopback?: boolean;
}

const counted = 'Publication';

/** Serves them. */
export class Publications {
  readonly #options: PublicationsOptions;
  readonly #limiter: RateLimiter;

  constructor(options: PublicationsOptions) {
    const perMinute = options.limits?.perMinute ?? publicationsPerMinutePerSourceMax;
    this.#options = options;
    this.#limiter = new RateLimiter({ perSecond: perMinute / 60, burst: perMinute, sourcesMax });
  }

  /** Answers a GET. */
  async serve(request: IncomingMessage, identifier: string, http: ServerResponse): Promise<void> {
    const { metrics } = this.#options;
    try {
      this.#admit(request);
      const payload = await this.#find(identifier);
      metrics.requests.inc({ transaction: counted, code: 'success' });
      http.writeHead(200, {
        'Content-Type': mediaTypeJson,
        'Content-Length': payload.length,
        'X-Content-Type-Options': 'nosniff',
        'Cache-Control': 'no-store',
      });
      http.end(payload);
    } catch (error) {
      const refused = error instanceof MeshError ? error : new MeshError('internal', '', { cause: error });
      metrics.requests.inc({ transaction: counted, code: refused.code });
      sendAndLinger(http, refusal(refused), { retryAfterMs: refused.retryAfterMs });
    }
  }

  /** @throws MeshError `wrong-host`, `rate-limited` */
  #admit({ headers, socket }: IncomingMessage): void {
    const { domains, clock, limits } = this.#options;
    if (!domains.has(domainOfHost(headers.host))) throw new MeshError('wrong-host');
    const source = sourceOf(socket.remoteAddress);
    if (isLoopback(source) && limits?.countLoopback !== true) return;
    const waitMs = this.#limiter.take(source, clock());
    if (waitMs > 0) throw new MeshError('rate-limited', '', { resource: 'publications', retryAfterMs: waitMs });
  }

  /** @throws MeshError `not-found`; `overloaded`, `shard-timeout` */
  async #find(identifier: string): Promise<Uint8Array> {
    const { shards, clock } = this.#options;
    // No shard is asked for what cannot be there.
    if (!isPublicationIdentifier(identifier)) throw new MeshError('not-found');
    const call = { account: identifier, identity: undefined, deadlineMs: clock() + publicationFetchMsMax };
    const { outcome, result } = await shards.transact(call, { $case: 'fetchPublication', value: { identifier } });
    requireSuccess(outcome);
    if (result?.$case !== 'fetchPublication') throw new Error('the shard answered another request');
    return result.value.payload;
  }
}
