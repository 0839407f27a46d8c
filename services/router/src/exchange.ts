/**
 * One request and its answer: read with bounds → take apart → authenticate → look for a replay → transaction → sign →
 * send. The order of checks is that of encoding 6.6.
 *
 * A fault found after the envelope was taken apart is answered with a signature, as long as its source has some left;
 * one found before cannot be tied to a request and is answered without (S22).
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HostIdentity } from '@meshd/binding/host-files';
import { domainOfHost, readFraming, readMediaType, refuseSecondHost } from '@meshd/binding/http-server';
import {
  type Authentication,
  authenticateRequest,
  keyOfAuthentication,
  reqAuthOf,
} from '@meshd/binding/request-authenticate';
import {
  type AnyRequest,
  answerFormOf,
  decodeRequest,
  type ReceivedRequest,
  receiveRequest,
} from '@meshd/binding/request-open';
import { comeBackMs, requestsInFlightMax, statusWaitMsMax, transactionMsMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import type { Response } from '@meshd/schema/common';
import type { Transaction } from '@meshd/schema/protocol';
import { MeshError, type StatusCode, statusRegistry } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import { PeerGoneError, readBody } from './body-reader.js';
import type { IncidentReports } from './incident-reports.js';
import type { RouterMetrics } from './metrics.js';
import type { OctetBudget } from './octet-budget.js';
import type { Peers } from './peers.js';
import { type IssueTicket, type Reply, refusal } from './reply.js';
import { type RequesterLimits, workMsOf } from './requester-limits.js';
import { type Proof, sendAndLinger, sendStreamed, sendWhole } from './respond.js';
import type { SeenRequests } from './seen-requests.js';
import type { ShardRouter } from './shard-router.js';
import { sourceOf } from './source.js';
import type { SourceLimits } from './source-limits.js';
import { featuresOf, type TicketDesk } from './ticket-desk.js';
import type { TransactionContext, TransactionHandlers } from './transaction.js';

/** What exchanges share. */
export interface ExchangeParts {
  readonly domains: ReadonlySet<string>;
  readonly host: () => HostIdentity;
  readonly handlers: TransactionHandlers;
  readonly shards: ShardRouter;
  readonly tickets: TicketDesk;
  readonly budget: OctetBudget;
  readonly limits: SourceLimits;
  readonly requesters: RequesterLimits;
  readonly incidents: Pick<IncidentReports, 'note'>;
  readonly peers: Peers;
  readonly seen: SeenRequests;
  readonly metrics: RouterMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Requests that may be in work at a time. */
  readonly inFlightMax?: number | undefined;
}

/**
 * Transactions that change nothing, or nothing more when they are repeated: a repetition is served again, so their `ID`s are
 * remembered here.
 */
const reading: ReadonlySet<Transaction> = new Set([
  ...(['Hello', 'Status', 'Download', 'Complete', 'StoreLarge', 'FetchLarge'] as const),
]);

/** What is known of a request while it is served. */
interface Serving {
  readonly http: ServerResponse;
  readonly allowBare: boolean;
  readonly source: string;
  /** When its headers were read, and when its body was. */
  readonly arrivedMs: number;
  readonly begunMs: number;
  received?: ReceivedRequest;
  /** Who sent it, once that is known: decides how the answer is proved. */
  authentication?: Authentication;
}

/** A reply, and the ticket that goes with it if one was asked for. */
interface Performed {
  readonly reply: Reply<Transaction>;
  readonly issue: IssueTicket;
}

/** Serves requests to the Mesh service. */
export class Exchanges {
  readonly #parts: ExchangeParts;
  readonly #stopping = new AbortController();
  #count = 0;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  get #inFlightMax(): number {
    return this.#parts.inFlightMax ?? requestsInFlightMax;
  }

  /** Requests in work now. */
  get count(): number {
    return this.#count;
  }

  /** Ends what waits for something to happen: it would keep the process for as long as a Status may wait. */
  stopWaiting(): void {
    this.#stopping.abort(new MeshError('shutting-down', '', { retryAfterMs: comeBackMs }));
  }

  /** Serves one POST, on the socket of tests with naked messages too (S28). Never rejects. */
  async serve(request: IncomingMessage, http: ServerResponse, { allowBare = false } = {}): Promise<void> {
    const { clock } = this.#parts;
    const source = sourceOf(request.socket.remoteAddress);
    const arrivedMs = clock();
    const share = this.#parts.budget.open(source);
    this.#count += 1;
    try {
      const body = await this.#read(request, http, source, share);
      if (body === undefined) return;
      await this.#answer(body, request, { http, allowBare, source, arrivedMs, begunMs: clock() });
    } catch (error) {
      if (!(error instanceof PeerGoneError)) this.#parts.logger.warn({ err: error }, 'exchange broken off');
      this.#parts.metrics.broken.inc();
      http.destroy();
    } finally {
      this.#count -= 1;
      share.release();
    }
  }

  /** The body, or undefined once a refusal was sent: what is not read cannot be answered with a signature. */
  async #read(
    request: IncomingMessage,
    http: ServerResponse,
    source: string,
    share: ReturnType<OctetBudget['open']>,
  ): Promise<{ readonly octets: Buffer; readonly form: 'json' | 'json-b' } | undefined> {
    try {
      this.#parts.requesters.refuseBarred(source);
      if (this.#count > this.#inFlightMax) throw overloaded('requests');
      refuseSecondHost(request.rawHeaders);
      const { bytesStated } = readFraming(request.headers);
      const form = readMediaType(request.headers);
      return { octets: await readBody(request, bytesStated, share), form };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#tally('unread', error.code);
      this.#parts.metrics.refusalsUnsigned.inc({ code: error.code });
      if (this.#parts.requesters.barredMs(source) === 0) this.#parts.requesters.refused(source, error.code);
      sendAndLinger(http, refusal(error), { retryAfterMs: error.retryAfterMs });
      return undefined;
    }
  }

  async #answer(
    body: { readonly octets: Buffer; readonly form: 'json' | 'json-b' },
    request: IncomingMessage,
    serving: Serving,
  ): Promise<void> {
    const { clock, metrics } = this.#parts;
    try {
      serving.received = receiveRequest(body.octets, body.form);
      const { reply, issue } = await this.#perform(serving, serving.received, domainOfHost(request.headers.host));
      await this.#send(serving, serving.received, reply, issue);
      this.#tally(serving.received.base.transaction, reply.code);
    } catch (error) {
      if (serving.http.headersSent || error instanceof PeerGoneError) throw error;
      await this.#refuse(serving, this.#faultOf(error));
    }
    const transaction = serving.received?.base.transaction ?? 'none';
    metrics.seconds.observe({ transaction }, (clock() - serving.begunMs) / 1000);
    if (isSlowPost(serving, clock())) metrics.postsSlow.inc();
  }

  async #perform(serving: Serving, received: ReceivedRequest, host: string): Promise<Performed> {
    const { clock, domains, limits, requesters, peers, handlers, shards, tickets } = this.#parts;
    const { begunMs, allowBare } = serving;
    const opened = decodeRequest(received);
    const { request } = opened;
    limits.check(request.transaction, serving.source, begunMs);
    await requesters.checkSource(serving.source);
    const options = { nowMs: begunMs, domains, host, tickets: tickets.opener, allowBare };
    const authentication = await authenticateRequest(opened, options);
    serving.authentication = authentication;
    const principal = principalOf(request, authentication);
    this.#checkSeen(received, principal, begunMs);
    const wish = tickets.wishOf(opened, authentication);
    // Signatures are verified in the order of arrival: when that took the whole time, the router has too much to do.
    if (clock() >= begunMs + transactionMsMax) throw overloaded('verification');
    const features = featuresOf(opened, authentication);
    const context: TransactionContext = {
      authentication,
      received,
      domain: host,
      host: this.#parts.host(),
      ...{ domains, shards, peers, limits: requesters },
      pages: tickets,
      deadlineMs: begunMs + workMsOf(this.#count, this.#inFlightMax) + waitMsOf(request),
      describePrincipal: wish?.needsPrincipal ?? false,
      understands: (word) => features.includes(word),
      gone: () => this.#goneOf(serving.http),
    };
    const reply = await this.#whileCounted(request, () => perform(handlers, request, context));
    if (principal !== undefined && received.base.id !== undefined && reading.has(request.transaction)) {
      // After the shard took the principal for genuine: anybody can make up keys and connections.
      this.#parts.seen.remember(principal, received.base.id, received.payloadDigest, begunMs);
    }
    return { reply, issue: (described) => wish?.issue(described) };
  }

  /** A request that waits for a change is no work: it does not count among those that are bounded. */
  async #whileCounted<R>(request: AnyRequest, work: () => Promise<R>): Promise<R> {
    if (waitMsOf(request) === 0) return work();
    this.#count -= 1;
    try {
      return await work();
    } finally {
      this.#count += 1;
    }
  }

  #goneOf(http: ServerResponse): AbortSignal {
    const gone = new AbortController();
    const leave = () => gone.abort(new PeerGoneError('the requester has gone'));
    if (http.closed) leave();
    else http.once('close', leave);
    return AbortSignal.any([gone.signal, this.#stopping.signal]);
  }

  #checkSeen(received: ReceivedRequest, principal: string | undefined, nowMs: number): void {
    const { id } = received.base;
    if (principal === undefined || id === undefined) return;
    if (this.#parts.seen.isReused(principal, id, received.payloadDigest, nowMs)) {
      throw new MeshError('request-id-reused');
    }
  }

  async #send(
    serving: Serving,
    received: ReceivedRequest,
    reply: Reply<Transaction>,
    issue: IssueTicket,
  ): Promise<void> {
    const { base } = received;
    const proof = this.#proofOf(serving, received);
    if (reply.kind === 'whole') {
      const { retryAfterMs, code, described } = reply;
      const Exchange = isRefusal(code) ? undefined : issue(described);
      const message = { ...withId(reply.message, base.echo), ...(Exchange === undefined ? {} : { Exchange }) };
      await sendWhole(serving.http, proof, base.transaction, message, { retryAfterMs });
      return;
    }
    if (proof.kind === 'unsigned') throw new Error('a streamed answer to a message without envelope');
    await sendStreamed(serving.http, proof, reply, base.echo ?? new Uint8Array(0), issue);
  }

  async #refuse(serving: Serving, error: MeshError): Promise<void> {
    const { http, source, received } = serving;
    this.#parts.requesters.refused(source, error.code);
    if (error.code === 'policy' && isHost(serving.authentication)) {
      // What a host says of itself is not verified where it is refused; where it came from is known.
      this.#parts.incidents.note({ kind: 'host-refused', by: `source ${source}`, detail: error.detail });
    }
    const transaction = received?.base.transaction;
    const mayBeSigned = received !== undefined && this.#mayProveRefusal(serving, source);
    const proof: Proof = mayBeSigned ? this.#proofOf(serving, received) : { kind: 'unsigned' };
    this.#tally(transaction, error.code);
    if (proof.kind === 'unsigned') this.#parts.metrics.refusalsUnsigned.inc({ code: error.code });
    const message = withId(refusal(error), received?.base.echo);
    // CreateResponse has a member of its own for what was wrong (R294).
    const reasoned =
      transaction === 'CreateAccount' ? { ...message, Reason: error.detail || error.description } : message;
    await sendWhole(http, proof, transaction, reasoned, { retryAfterMs: error.retryAfterMs });
  }

  /** The budget is for signatures (S22): a MAC costs nothing, and only a requester that proved itself gets one. */
  #mayProveRefusal({ authentication }: Serving, source: string): boolean {
    return authentication?.form === 'ticket' || this.#parts.limits.maySignRefusal(source, this.#parts.clock());
  }

  /** MACed under the ticket of the request once it was found to hold, else signed. */
  #proofOf({ authentication }: Serving, received: ReceivedRequest): Proof {
    if (received.naked) return { kind: 'unsigned' };
    const prover =
      authentication?.form === 'ticket'
        ? { id: authentication.ticket.id, serverToClient: authentication.ticket.secrets.serverToClient }
        : this.#parts.host();
    return { kind: 'proved', prover, request: answeredRequest(received), form: answerFormOf(received) };
  }

  /** Anything but a refusal is a fault of ours: the peer gets a number, the log gets the rest. */
  #faultOf(error: unknown): MeshError {
    if (error instanceof MeshError) return error;
    const correlation = randomBytes(6).toString('hex');
    this.#parts.logger.error({ err: error, correlation }, 'internal error');
    return new MeshError('internal', correlation, { cause: error });
  }

  #tally(transaction: Transaction | 'unread' | undefined, code: string): void {
    this.#parts.metrics.requests.inc({ transaction: transaction ?? 'unknown', code });
  }
}

/** Another service, not a device. */
function isHost(authentication: Authentication | undefined): boolean {
  if (authentication?.form === 'host') return true;
  return authentication?.form === 'ticket' && authentication.ticket.content.level === 'service';
}

function overloaded(resource: string): MeshError {
  return new MeshError('overloaded', '', { resource, retryAfterMs: comeBackMs });
}

function perform(
  handlers: TransactionHandlers,
  { transaction, message }: AnyRequest,
  context: TransactionContext,
): Promise<Reply<Transaction>> {
  // The registry decoded the message with the table of this very transaction.
  const handler = handlers[transaction] as (
    message: unknown,
    context: TransactionContext,
  ) => Promise<Reply<Transaction>>;
  return handler(message, context);
}

/** In whose name `ID`s are counted (encoding 6.6); undefined where nobody is named. */
function principalOf({ message }: AnyRequest, authentication: Authentication): string | undefined {
  const key = keyOfAuthentication(authentication);
  if (key === undefined) return undefined;
  const account = 'Account' in message ? (message.Account ?? '') : '';
  return `${account.toLowerCase()} ${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`;
}

/** A Post of another service that took longer than a transaction may, its octets included: overload (semantics 8.4). */
function isSlowPost({ received, authentication, arrivedMs }: Serving, nowMs: number): boolean {
  const isService = authentication?.form === 'host' || isServiceTicket(authentication);
  return received?.base.transaction === 'Post' && isService && nowMs - arrivedMs > transactionMsMax;
}

function isServiceTicket(authentication: Authentication | undefined): boolean {
  return authentication?.form === 'ticket' && authentication.ticket.content.level === 'service';
}

/** How long the answer may wait for a change, milliseconds (S83); more than the longest is cut without a word. */
function waitMsOf({ transaction, message }: AnyRequest): number {
  const waitMs = transaction === 'Status' ? (message.Wait ?? 0) : 0;
  return Math.max(0, Math.min(waitMs, statusWaitMsMax));
}

function isRefusal(code: StatusCode): boolean {
  return statusRegistry[code].status >= 400;
}

function answeredRequest(received: ReceivedRequest) {
  const { payloadDigest, entries, base } = received;
  return { service: base.service, payloadDigest, reqAuth: reqAuthOf(entries) };
}

function withId(message: Response, id: Uint8Array | undefined): Response {
  return id === undefined ? message : { ...message, ID: id };
}
