/**
 * A client's way to one service: a transaction and a message in, a verified response out.
 *
 * The first exchange with an unknown domain is a Hello, which brings the profiles of service and host; what they prove
 * is pinned (`service-trust.ts`). Every later answer is judged under that pin. There is no state between calls besides
 * kept TLS connections: transactions may come in any order and over changing connections (R191).
 */

import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { httpBodyMsMax, unsignedPauseMsMax } from '@meshd/limits/limits';
import { advertisedFeatures, wellKnownPath } from '@meshd/schema/features';
import type { RequestOf, ResponseOf, Transaction } from '@meshd/schema/protocol';
import { BindingError } from './errors.js';
import { type HttpAnswer, HttpsPoster, type Poster } from './http-client.js';
import { parseMediaType } from './media-type.js';
import type { PinStore } from './pins.js';
import { type RequestSigner, type SentRequest, signRequest } from './request-sign.js';
import { checkResponse, type OpenedResponse, openResponse } from './response-open.js';
import { ServiceTrust, type VerifiedHello } from './service-trust.js';

export type { VerifiedHello } from './service-trust.js';

/** What {@link MeshConnection} needs. */
export interface MeshConnectionOptions {
  /** Canonical domain: `Host`, `Service` and TLS server name. */
  readonly domain: string;
  /** `https` address of the service; `https://<domain>/.well-known/mmm` when absent. */
  readonly url?: string | undefined;
  /** Certificates (PEM) trusted instead of the usual ones. */
  readonly ca?: string | undefined;
  readonly pins: PinStore;
  /** Milliseconds since 1970, UTC. */
  readonly clock?: (() => number) | undefined;
  readonly random?: Random | undefined;
  /** Bound of one exchange, milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Another way to the service than HTTPS: tests, and links that are shaped. */
  readonly poster?: Poster | undefined;
}

/** A response that was proved to answer the request and to come from the service. */
export interface VerifiedResponse<T extends Transaction> {
  /** The payload's Status: it decides, whatever the HTTP code says (R106). */
  readonly status: number;
  readonly statusExtended: number | undefined;
  readonly description: string | undefined;
  /** Whether the status is one of the 2xx. */
  readonly succeeded: boolean;
  /** Class of the response; the declared one of the transaction or an ancestor of it. */
  readonly tag: string;
  readonly message: ResponseOf<T>;
  readonly httpStatus: number;
  /** From the HTTP header, which nothing proves: a hint, bounded. */
  readonly retryAfterMs: number | undefined;
  readonly host: { readonly key: PublicKeyEd448; readonly udf: string };
}

/** Options of one call. */
export interface CallOptions {
  /** `ID` of an earlier request, to repeat it after its answer was lost. */
  readonly id?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A client's way to one service. */
export class MeshConnection {
  readonly domain: string;
  readonly #options: MeshConnectionOptions;
  readonly #poster: Poster;
  readonly #trust: ServiceTrust;
  readonly #clock: () => number;

  /** @throws BindingError `not-https` for a `url` of another scheme */
  constructor(options: MeshConnectionOptions) {
    this.domain = options.domain;
    this.#options = options;
    this.#clock = options.clock ?? (() => Date.now());
    this.#poster = options.poster ?? httpsPoster(options);
    this.#trust = new ServiceTrust(options.domain, options.pins, this.#clock);
  }

  /**
   * Asks the service who it is and what it can do, and pins it or compares it with the pin (S23, S26).
   *
   * @throws BindingError, among others `pin-mismatch` and `feature-missing`
   */
  async hello(options: CallOptions = {}): Promise<VerifiedHello> {
    const { opened, sent, answer } = await this.#exchange('Hello', {}, [], options);
    return this.#trust.judgeHello(opened, sent, answer.httpStatus);
  }

  /**
   * One transaction. Says Hello first where the service is not known yet.
   *
   * Statuses are results, not errors: look at `succeeded`.
   *
   * @param message the request; `Service` and `ID` are filled in
   * @throws BindingError when there is no verified response; then nothing may be concluded about the request
   */
  async call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options: CallOptions = {},
  ): Promise<VerifiedResponse<T>> {
    if (!(await this.#trust.isKnown())) await this.hello(options.signal ? { signal: options.signal } : {});
    const { opened, sent, answer } = await this.#exchange(transaction, message, signers, options);
    const host = await this.#trust.hostOf(opened.entry, () => this.hello());
    await checkResponse(opened, sent, host.key);
    return verifiedResponse(opened, answer, host);
  }

  async #exchange<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options: CallOptions,
  ): Promise<{ opened: OpenedResponse<T>; sent: SentRequest; answer: HttpAnswer }> {
    // Named to whoever named some: without it a service leaves out what the draft does not know (schema 13).
    const named = (await this.#trust.features()).length > 0 ? { Features: [...advertisedFeatures] } : {};
    const { body, sent } = await signRequest({
      transaction,
      message: { ...named, ...message },
      signers,
      service: this.domain,
      nowMs: this.#clock(),
      random: this.#options.random ?? systemRandom,
      ...(options.id === undefined ? {} : { id: options.id }),
    });
    const answer = await this.#poster.post(body, this.#options.timeoutMs ?? httpBodyMsMax, options.signal);
    refuseUnsigned(answer);
    return { opened: openResponse(transaction, answer.body), sent, answer };
  }

  /** Closes kept connections. The object must not be used afterwards. */
  async close(): Promise<void> {
    this.#poster.close();
  }
}

function httpsPoster({ domain, url, ca }: MeshConnectionOptions): Poster {
  return new HttpsPoster({ domain, url: url ?? `https://${domain}${wellKnownPath}`, ca });
}

const openingBracket = '['.charCodeAt(0);

/**
 * Sorts out what is no enveloped response. Such an answer proves nothing, so its status is not believed either; all
 * that it can do is make us wait, and not for long (S22).
 */
function refuseUnsigned(answer: HttpAnswer): void {
  const { httpStatus } = answer;
  if (parseMediaType(answer.mediaType) === 'json' && firstOctet(answer.body) === openingBracket) return;
  const pauseMs = Math.min(answer.retryAfterMs ?? 0, unsignedPauseMsMax);
  throw new BindingError('unsigned-error', `an answer without proof (HTTP ${httpStatus})`, { httpStatus, pauseMs });
}

function firstOctet(octets: Uint8Array): number | undefined {
  return octets.find((octet) => octet !== 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d);
}

function verifiedResponse<T extends Transaction>(
  opened: OpenedResponse<T>,
  answer: HttpAnswer,
  host: { key: PublicKeyEd448; udf: string },
): VerifiedResponse<T> {
  const { message } = opened;
  const status = message.Status ?? 0;
  return {
    status,
    statusExtended: message.StatusExtended,
    description: message.StatusDescription,
    succeeded: status >= 200 && status < 300,
    tag: opened.tag,
    message,
    httpStatus: answer.httpStatus,
    retryAfterMs: answer.retryAfterMs,
    host,
  };
}
