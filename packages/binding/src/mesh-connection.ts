/**
 * A client's way to one service: a transaction and a message in, a verified response out.
 *
 * The first exchange with an unknown domain is a Hello, which brings the profiles of service and host; what they prove
 * is pinned (`service-trust.ts`). Every later answer is judged under that pin. There is no state between calls besides
 * kept TLS connections and tickets, and neither is needed: transactions may come in any order and over changing
 * connections (R191), and a request whose ticket is not taken is signed instead.
 */

import { importPublicKey, type PublicKeyEd448 } from '@meshd/crypto/ed448';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { helloCacheMs, httpBodyMsMax, unsignedPauseMsMax } from '@meshd/limits/limits';
import type { Request } from '@meshd/schema/common';
import { type Feature, wellKnownPath } from '@meshd/schema/features';
import type { RequestOf, ResponseOf, Transaction } from '@meshd/schema/protocol';
import { statusRegistry } from '@meshd/schema/status';
import type { ServiceLocator } from './discovery/service-locator.js';
import { BindingError } from './errors.js';
import { type HttpAnswer, HttpsPoster, type Poster } from './http-client.js';
import { LocatedPoster } from './located-poster.js';
import { type BodyForm, mediaTypeOf, parseMediaType } from './media-type.js';
import type { PinStore } from './pins.js';
import { redirectedTo } from './redirect.js';
import { type RequestSigner, type SentRequest, signRequest } from './request-sign.js';
import { checkResponse, checkTicketResponse, type OpenedResponse, openResponse } from './response-open.js';
import { ServiceTrust, type VerifiedHello } from './service-trust.js';
import {
  accountOfSigner,
  type ClientExchange,
  type HeldTicket,
  isRenewable,
  isUsable,
  type TicketStore,
  ticketName,
} from './ticket-hold.js';
import { TicketWallet } from './ticket-wallet.js';

export type { VerifiedHello } from './service-trust.js';

/** What any caller understands; those who understand more name it. The fewer words, the smaller each request. */
const ownFeatures: readonly Feature[] = ['entry'];

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
  /** Finds the service by its domain, where there is no `url` (semantics 2.1). */
  readonly locator?: ServiceLocator | undefined;
  /** Another way to the service than HTTPS: tests, and links that are shaped. */
  readonly poster?: Poster | undefined;
  /** Encoding of requests and answers; where absent JSON-B if the service takes it, else JSON. */
  readonly form?: BodyForm | undefined;
  /** Words named in requests whose message names none, once the service has said that it knows such words; ours if absent. */
  readonly features?: readonly Feature[] | undefined;
  /** Whether tickets are asked for and used where the service gives them; yes when absent. */
  readonly useTickets?: boolean | undefined;
  /** Where tickets are kept; in memory when absent. */
  readonly tickets?: TicketStore | undefined;
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
  /** The host that signed; under a ticket the one that issued it. */
  readonly host: { readonly key: PublicKeyEd448; readonly udf: string };
  /** What the request was authenticated by, after any falling back. */
  readonly authenticatedBy: 'signature' | 'ticket';
  readonly form: BodyForm;
  /** Octets of the HTTP bodies. */
  readonly bodyBytes: { readonly sent: number; readonly received: number };
}

/** Options of one call. */
export interface CallOptions {
  /** `ID` of this request; that of an earlier one to repeat it after its answer was lost. */
  readonly id?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bound of this exchange, milliseconds; that of the connection when absent, a waiting Status longer by its wait. */
  readonly timeoutMs?: number | undefined;
  /** `false` signs this request, whatever tickets there are. */
  readonly useTicket?: boolean | undefined;
}

/** How a request is authenticated, and what it asks for besides. */
interface Attempt {
  readonly form: BodyForm;
  readonly signers: readonly RequestSigner[];
  readonly ticket?: HeldTicket | undefined;
  readonly exchange?: ClientExchange | undefined;
}

/** An answer that was verified, with what it answers. */
interface Answered<T extends Transaction> {
  readonly opened: OpenedResponse<T>;
  readonly sent: SentRequest;
  readonly answer: HttpAnswer;
  readonly sentBytes: number;
}

const { ticket: ticketRefusal } = statusRegistry;

/** A client's way to one service. */
export class MeshConnection {
  readonly domain: string;
  readonly #options: MeshConnectionOptions;
  readonly #poster: Poster;
  readonly #trust: ServiceTrust;
  readonly #clock: () => number;
  readonly #random: Random;
  readonly #wallet: TicketWallet;

  /** @throws BindingError `not-https` for a `url` of another scheme */
  constructor(options: MeshConnectionOptions) {
    this.domain = options.domain;
    this.#options = options;
    this.#clock = options.clock ?? (() => Date.now());
    this.#random = options.random ?? systemRandom;
    this.#poster = options.poster ?? httpsPoster(options, this.#clock);
    this.#trust = new ServiceTrust(options.domain, options.pins, this.#clock);
    const { domain, tickets: store } = options;
    this.#wallet = new TicketWallet({ domain, store, clock: this.#clock, random: this.#random });
  }

  /**
   * Asks the service who it is and what it can do, and pins it or compares it with the pin (S23, S26).
   *
   * @throws BindingError, among others `pin-mismatch` and `feature-missing`
   */
  async hello(options: CallOptions = {}): Promise<VerifiedHello> {
    const { opened, sent, answer } = await this.#exchange('Hello', {}, { form: 'json', signers: [] }, options);
    return this.#trust.judgeHello(opened, sent, answer.httpStatus);
  }

  /** Whether the service names a feature; asks it first where it is not known yet. */
  async offers(word: Feature): Promise<boolean> {
    return (await this.#known({})).features.includes(word);
  }

  /** The encoding that requests are sent in; asks the service first where it is not known yet. */
  async form(): Promise<BodyForm> {
    return this.#formFor('Status', (await this.#known({})).encodings);
  }

  /** Makes sure that there is a ticket for the signer: a Hello as null transaction that brings one (draft 1). */
  async obtainTicket(signer: RequestSigner): Promise<boolean> {
    await this.call('Hello', {}, [signer]);
    const account = accountOfSigner(signer, this.domain) ?? '';
    return isUsable(await this.#wallet.get(ticketName(this.domain, account, signer)), this.#clock());
  }

  /**
   * One transaction. Says Hello first where the service is not known yet. Uses a ticket where there is one, and asks for one
   * where there is none; with more than one signer the request is signed.
   *
   * Statuses are results, not errors: look at `succeeded`. A service that says where else the request should go is followed
   * once (`redirect.ts`).
   *
   * @param message the request; `Service`, `ID` and `Exchange` are filled in
   * @throws BindingError when there is no verified response; then nothing may be concluded about the request
   */
  async call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options: CallOptions = {},
  ): Promise<VerifiedResponse<T>> {
    const response = await this.#callHere(transaction, message, signers, options);
    const url = urlOf(this.#options);
    const place = this.#options.poster === undefined ? redirectedTo(response, this.domain, url) : undefined;
    if (place === undefined) return response;
    // Under the same pins; what is there instead is judged like any host of the service.
    const there = new MeshConnection({ ...this.#options, url: place });
    try {
      return await there.#callHere(transaction, message, signers, options);
    } finally {
      await there.close();
    }
  }

  async #callHere<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options: CallOptions,
  ): Promise<VerifiedResponse<T>> {
    const { features, encodings } = await this.#known(options);
    const named =
      features.length === 0 ? message : { Features: [...(this.#options.features ?? ownFeatures)], ...message };
    const form = this.#formFor(transaction, encodings);
    const isWanted = (this.#options.useTickets ?? true) && (options.useTicket ?? true) && features.includes('ticket');
    const name = isWanted ? this.#wallet.nameFor(transaction, message, signers) : undefined;
    if (name === undefined) return this.#attempt(transaction, named, { form, signers }, options);
    const ticket = await this.#wallet.get(name);
    const exchange = this.#wallet.begin(transaction, name, ticket, options.id);
    try {
      return await this.#withTicket(transaction, named, { form, signers, ticket, exchange }, options, name);
    } finally {
      this.#wallet.end(name, exchange);
    }
  }

  /** Under the ticket if there is one that holds, else signed; and signed after all where the service refuses the ticket. */
  async #withTicket<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    attempt: Attempt,
    options: CallOptions,
    name: string,
  ): Promise<VerifiedResponse<T>> {
    const nowMs = this.#clock();
    const { ticket, exchange } = attempt;
    // Where a renewal wants a signature, the whole request gets one.
    const isHeld = isUsable(ticket, nowMs) && (exchange === undefined || isRenewable(ticket, nowMs));
    if (isHeld) {
      const response = await this.#attempt(transaction, message, attempt, options, name);
      if (!isTicketRefused(response)) return response;
      await this.#wallet.drop(name);
    }
    const again = isHeld ? (exchange ?? this.#wallet.begin(transaction, name, undefined, options.id)) : exchange;
    const signed = { ...attempt, ticket: undefined, exchange: again };
    try {
      return await this.#attempt(transaction, message, signed, options, name);
    } finally {
      this.#wallet.end(name, again);
    }
  }

  /** One attempt: sent, verified, and what it brings of a ticket put away. */
  async #attempt<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    attempt: Attempt,
    options: CallOptions,
    name?: string,
  ): Promise<VerifiedResponse<T>> {
    const answered = await this.#exchangeInForm(transaction, message, attempt, options);
    const { opened, sent } = answered;
    const host = await this.#verify(opened, sent, attempt.ticket, options);
    if (name !== undefined) {
      const { exchange, ticket, signers } = attempt;
      const features = (message as Request).Features ?? [];
      const answer = { exchange, ticket, signer: signers[0], sent, message: opened.message, features, host };
      await this.#wallet.keep(name, answer);
    }
    return verifiedResponse(answered, host);
  }

  /** Who answered: checked against the ticket, or against host and service (S22). */
  async #verify<T extends Transaction>(
    opened: OpenedResponse<T>,
    sent: SentRequest,
    ticket: HeldTicket | undefined,
    options: CallOptions,
  ): Promise<{ key: PublicKeyEd448; udf: string; notAfterMs: number }> {
    if (opened.entry.kind === 'ticket' && ticket !== undefined) {
      checkTicketResponse(opened, sent);
      return { ...ticket.host, key: importPublicKey(ticket.host.key) };
    }
    const host = await this.#trust.hostOf(opened.entry, () => this.hello({ signal: options.signal }));
    await checkResponse(opened, sent, host.key);
    return host;
  }

  #formFor(transaction: Transaction, encodings: readonly string[]): BodyForm {
    const { form = 'json-b' } = this.#options;
    // Hello is always JSON: it is what tells which other encodings there are (semantics 2.4).
    return transaction !== 'Hello' && encodings.includes(mediaTypeOf[form]) ? form : 'json';
  }

  /** What the service said of itself, this time or an earlier one. */
  async #known(options: CallOptions): Promise<{ features: readonly string[]; encodings: readonly string[] }> {
    const known = await this.#trust.pin();
    // Asked again now and then: a service learns new things (semantics 6.1).
    const isFresh = known !== undefined && this.#clock() < (known.helloMs ?? 0) + helloCacheMs;
    const pin = isFresh ? known : (await this.hello({ signal: options.signal })).pin;
    return { features: pin.features, encodings: pin.encodings ?? [] };
  }

  /** One exchange; in JSON after all where the service no longer takes the other encoding, which a Hello confirms. */
  async #exchangeInForm<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    attempt: Attempt,
    options: CallOptions,
  ): Promise<Answered<T>> {
    try {
      return await this.#exchange(transaction, message, attempt, options);
    } catch (error) {
      const isEncoding = error instanceof BindingError && error.httpStatus === statusRegistry['media-type'].status;
      if (!isEncoding || attempt.form === 'json') throw error;
      const { encodings } = await this.hello({ signal: options.signal });
      const form = this.#formFor(transaction, encodings);
      if (form === attempt.form) throw error;
      return this.#exchange(transaction, message, { ...attempt, form }, options);
    }
  }

  async #exchange<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    { form, signers, ticket, exchange }: Attempt,
    options: CallOptions,
  ): Promise<Answered<T>> {
    const { body, sent } = await signRequest<T>({
      transaction,
      message: exchange === undefined ? message : { ...message, Exchange: exchange.member },
      signers,
      ticket,
      form,
      service: this.domain,
      nowMs: this.#clock(),
      random: this.#random,
      ...(options.id === undefined ? {} : { id: options.id }),
    });
    const waitMs = 'Wait' in message ? (message.Wait ?? 0) : 0;
    const timeoutMs = options.timeoutMs ?? (this.#options.timeoutMs ?? httpBodyMsMax) + waitMs;
    const answer = await this.#poster.post(body, timeoutMs, options.signal, form);
    const answerForm = formOfAnswer(answer);
    return { opened: openResponse(transaction, answer.body, answerForm), sent, answer, sentBytes: body.length };
  }

  /** Closes kept connections. The object must not be used afterwards. */
  async close(): Promise<void> {
    this.#poster.close();
  }
}

function isTicketRefused({ status, statusExtended }: VerifiedResponse<Transaction>): boolean {
  return status === ticketRefusal.status && statusExtended === ticketRefusal.extended;
}

const urlOf = ({ domain, url }: MeshConnectionOptions): string => url ?? `https://${domain}${wellKnownPath}`;

function httpsPoster(options: MeshConnectionOptions, clock: () => number): Poster {
  const { domain, ca, locator, url } = options;
  if (url === undefined && locator !== undefined) return new LocatedPoster({ domain, ca, locator, clock });
  return new HttpsPoster({ domain, url: urlOf(options), ca });
}

const openingBracket = '['.charCodeAt(0);

/**
 * The encoding of an enveloped response. What is none proves nothing, so its status is not believed either; all that it
 * can do is make us wait, and not for long (S22).
 */
function formOfAnswer(answer: HttpAnswer): BodyForm {
  const { httpStatus } = answer;
  const form = parseMediaType(answer.mediaType);
  if (form !== undefined && firstOctet(answer.body) === openingBracket) return form;
  const pauseMs = Math.min(answer.retryAfterMs ?? 0, unsignedPauseMsMax);
  throw new BindingError('unsigned-error', `an answer without proof (HTTP ${httpStatus})`, { httpStatus, pauseMs });
}

function firstOctet(octets: Uint8Array): number | undefined {
  return octets.find((octet) => octet !== 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d);
}

function verifiedResponse<T extends Transaction>(
  { opened, sent, answer, sentBytes }: Answered<T>,
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
    host: { key: host.key, udf: host.udf },
    authenticatedBy: sent.ticket === undefined ? 'signature' : 'ticket',
    form: parseMediaType(answer.mediaType) ?? 'json',
    bodyBytes: { sent: sentBytes, received: answer.body.length },
  };
}
