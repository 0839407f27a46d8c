/** Posting to a service that is found by its domain: discovery, several places, connections kept to each of them. */
import { discoveryConnectMsMax, discoveryConnectsMax, discoveryMsMax } from '@meshd/limits/discovery';
import { peerPlaceFailedMs, peerPlacesMax } from '@meshd/limits/peers';
import { LRUCache } from 'lru-cache';
import { addressInUrl, type ServiceLocator } from './discovery/service-locator.js';
import { BindingError } from './errors.js';
import { type HttpAnswer, HttpsPoster, type HttpsPosterOptions, type Poster } from './http-client.js';
import type { BodyForm } from './media-type.js';

/** What {@link LocatedPoster} needs; bounds of each place as in {@link HttpsPosterOptions}. */
export interface LocatedPosterOptions extends Omit<HttpsPosterOptions, 'url' | 'connectMs'> {
  readonly locator: Pick<ServiceLocator, 'locate'>;
  /** Milliseconds since 1970, UTC; the one of the locator. */
  readonly clock: () => number;
}

/** One exchange with one place, within the time that is left. */
type Exchange = (poster: HttpsPoster, leftMs: number) => Promise<HttpAnswer>;

/**
 * Posts to the first place of a domain that can be connected to. The certificate must be the domain's at each of them
 * (S74); one that shows another is a place like one that does not answer.
 *
 * Another place is tried only while nothing was sent: afterwards whoever sent must say whether to send again.
 */
export class LocatedPoster implements Poster {
  readonly #options: LocatedPosterOptions;
  readonly #posters = new LRUCache<string, HttpsPoster>({
    max: peerPlacesMax,
    dispose: (poster) => poster.close(),
  });
  /** Places that could not be connected to lately: tried after the others. */
  readonly #failed = new LRUCache<string, true>({ max: peerPlacesMax, ttl: peerPlaceFailedMs });
  #isAnew = false;

  constructor(options: LocatedPosterOptions) {
    this.#options = options;
  }

  /** The next post asks the DNS again: what answered at the places known is not, or no longer, the service. */
  discoverAnew(): void {
    this.#isAnew = true;
  }

  /**
   * Posts a body, discovery included in the time.
   *
   * @throws BindingError `transport`, `timeout`, `response-too-large`, or a `discovery-` code
   */
  post(body: Uint8Array, timeoutMs: number, signal?: AbortSignal, form?: BodyForm): Promise<HttpAnswer> {
    return this.#anywhere(timeoutMs, signal, (poster, leftMs) => poster.post(body, leftMs, signal, form));
  }

  /**
   * Fetches what lies under a path beside that of the service.
   *
   * @throws BindingError as {@link post}
   */
  get(path: string, timeoutMs: number, signal?: AbortSignal): Promise<HttpAnswer> {
    return this.#anywhere(timeoutMs, signal, (poster, leftMs) => poster.get(path, leftMs, signal));
  }

  async #anywhere(timeoutMs: number, signal: AbortSignal | undefined, exchange: Exchange): Promise<HttpAnswer> {
    const { clock } = this.#options;
    const deadlineMs = clock() + timeoutMs;
    let fault: unknown;
    for (const url of await this.#urls(Math.min(deadlineMs, clock() + discoveryMsMax), signal)) {
      const leftMs = Math.ceil(deadlineMs - clock());
      if (leftMs <= 0) throw new BindingError('timeout', `no answer within ${timeoutMs} ms`, { cause: fault });
      try {
        return await this.#at(url, leftMs, exchange);
      } catch (error) {
        if (!(error instanceof BindingError) || error.reach !== 'unreached') throw error;
        this.#failed.set(url, true);
        fault = error;
      }
    }
    throw fault;
  }

  /** A kept connection that the service closed meanwhile is no fault of the place: once more, over a fresh one. */
  async #at(url: string, leftMs: number, exchange: Exchange): Promise<HttpAnswer> {
    const poster = this.#posterOf(url);
    const { clock } = this.#options;
    const deadlineMs = clock() + leftMs;
    try {
      return await exchange(poster, leftMs);
    } catch (error) {
      const againMs = Math.ceil(deadlineMs - clock());
      if (!(error instanceof BindingError) || error.reach !== 'stale' || againMs <= 0) throw error;
      return exchange(poster, againMs);
    }
  }

  #posterOf(url: string): HttpsPoster {
    const known = this.#posters.get(url);
    if (known !== undefined) return known;
    const poster = new HttpsPoster({ ...this.#options, url, connectMs: discoveryConnectMsMax });
    this.#posters.set(url, poster);
    return poster;
  }

  async #urls(deadlineMs: number, signal: AbortSignal | undefined): Promise<string[]> {
    const { locator, domain } = this.#options;
    const anew = this.#isAnew;
    const locations = await locator.locate(domain, { deadlineMs, signal, anew });
    if (anew) this.#isAnew = false;
    const urls = locations.flatMap(({ addresses, port, path }) =>
      addresses.map((address) => `https://${addressInUrl(address)}:${port}${path}`),
    );
    const isFailed = (url: string) => Number(this.#failed.has(url));
    return urls.sort((a, b) => isFailed(a) - isFailed(b)).slice(0, discoveryConnectsMax);
  }

  close(): void {
    this.#posters.clear();
  }
}
