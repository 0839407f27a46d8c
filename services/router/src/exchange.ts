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
import { type Authentication, authenticateRequest, reqAuthOf } from '@meshd/binding/request-authenticate';
import { type AnyRequest, decodeRequest, type ReceivedRequest, receiveRequest } from '@meshd/binding/request-open';
import { requestsInFlightMax, transactionMsMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import type { Response } from '@meshd/schema/common';
import type { Transaction } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import type { Logger } from '@meshd/telemetry/logger';
import { PeerGoneError, readBody } from './body-reader.js';
import type { RouterMetrics } from './metrics.js';
import type { OctetBudget } from './octet-budget.js';
import { type Reply, refusal } from './reply.js';
import { type Proof, sendAndLinger, sendStreamed, sendWhole } from './respond.js';
import type { SeenRequests } from './seen-requests.js';
import type { ShardRouter } from './shard-router.js';
import { sourceOf } from './source.js';
import type { SourceLimits } from './source-limits.js';
import type { TransactionContext, TransactionHandlers } from './transaction.js';

/** What exchanges share. */
export interface ExchangeParts {
  readonly domains: ReadonlySet<string>;
  readonly host: () => HostIdentity;
  readonly handlers: TransactionHandlers;
  readonly shards: ShardRouter;
  readonly budget: OctetBudget;
  readonly limits: SourceLimits;
  readonly seen: SeenRequests;
  readonly metrics: RouterMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Transactions that change nothing: a repetition is served again, so their `ID`s are remembered here. */
const reading: ReadonlySet<Transaction> = new Set(['Hello', 'Status', 'Download', 'Complete']);

/** Serves requests to the Mesh service. */
export class Exchanges {
  readonly #parts: ExchangeParts;
  #count = 0;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /** Requests in work now. */
  get count(): number {
    return this.#count;
  }

  /** Serves one POST. Never rejects. */
  async serve(request: IncomingMessage, http: ServerResponse): Promise<void> {
    const source = sourceOf(request.socket.remoteAddress);
    const share = this.#parts.budget.open(source);
    this.#count += 1;
    try {
      const body = await this.#read(request, http, share);
      if (body !== undefined) await this.#answer(body, request, http, source);
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
    share: ReturnType<OctetBudget['open']>,
  ): Promise<{ readonly octets: Buffer; readonly form: 'json' | 'json-b' } | undefined> {
    try {
      if (this.#count > requestsInFlightMax) throw overloaded('requests');
      refuseSecondHost(request.rawHeaders);
      const { bytesStated } = readFraming(request.headers);
      const form = readMediaType(request.headers);
      return { octets: await readBody(request, bytesStated, share), form };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#tally('unread', error.code);
      this.#parts.metrics.refusalsUnsigned.inc({ code: error.code });
      sendAndLinger(http, refusal(error), { retryAfterMs: error.retryAfterMs });
      return undefined;
    }
  }

  async #answer(
    body: { readonly octets: Buffer; readonly form: 'json' | 'json-b' },
    request: IncomingMessage,
    http: ServerResponse,
    source: string,
  ): Promise<void> {
    const { clock, metrics } = this.#parts;
    const begunMs = clock();
    let received: ReceivedRequest | undefined;
    try {
      received = receiveRequest(body.octets, body.form);
      const reply = await this.#perform(received, domainOfHost(request.headers.host), source, begunMs);
      await this.#send(http, received, reply);
      this.#tally(received.base.transaction, reply.code);
    } catch (error) {
      if (http.headersSent) throw error;
      await this.#refuse(http, received, this.#faultOf(error), source);
    }
    metrics.seconds.observe({ transaction: received?.base.transaction ?? 'none' }, (clock() - begunMs) / 1000);
  }

  async #perform(
    received: ReceivedRequest,
    host: string,
    source: string,
    begunMs: number,
  ): Promise<Reply<Transaction>> {
    const { clock, domains, limits, handlers, shards } = this.#parts;
    const opened = decodeRequest(received);
    const { request } = opened;
    limits.check(request.transaction, source, begunMs);
    const authentication = await authenticateRequest(opened, { nowMs: begunMs, domains, host });
    const principal = principalOf(request, authentication);
    this.#checkSeen(received, principal, begunMs);
    const deadlineMs = begunMs + transactionMsMax;
    // Signatures are verified in the order of arrival: when that took the whole time, the router has too much to do.
    if (clock() >= deadlineMs) throw overloaded('verification');
    const context = { authentication, received, domain: host, host: this.#parts.host(), shards, deadlineMs };
    const reply = await perform(handlers, request, context);
    if (principal !== undefined && received.base.id !== undefined && reading.has(request.transaction)) {
      // After the shard took the principal for genuine: anybody can make up keys and connections.
      this.#parts.seen.remember(principal, received.base.id, received.payloadDigest, begunMs);
    }
    return reply;
  }

  #checkSeen(received: ReceivedRequest, principal: string | undefined, nowMs: number): void {
    const { id } = received.base;
    if (principal === undefined || id === undefined) return;
    if (this.#parts.seen.isReused(principal, id, received.payloadDigest, nowMs)) {
      throw new MeshError('request-id-reused');
    }
  }

  async #send(http: ServerResponse, received: ReceivedRequest, reply: Reply<Transaction>): Promise<void> {
    const { base } = received;
    if (reply.kind === 'whole') {
      const { retryAfterMs, message } = reply;
      await sendWhole(http, this.#proofOf(received), base.transaction, withId(message, base.echo), { retryAfterMs });
      return;
    }
    const answered = answeredRequest(received);
    await sendStreamed(http, this.#parts.host(), answered, reply, base.echo ?? new Uint8Array(0));
  }

  async #refuse(
    http: ServerResponse,
    received: ReceivedRequest | undefined,
    error: MeshError,
    source: string,
  ): Promise<void> {
    const transaction = received?.base.transaction;
    const mayBeSigned = received !== undefined && this.#parts.limits.maySignRefusal(source, this.#parts.clock());
    const proof: Proof = mayBeSigned ? this.#proofOf(received) : { kind: 'unsigned' };
    this.#tally(transaction, error.code);
    if (proof.kind === 'unsigned') this.#parts.metrics.refusalsUnsigned.inc({ code: error.code });
    const message = withId(refusal(error), received?.base.echo);
    // CreateResponse has a member of its own for what was wrong (R294).
    const reasoned =
      transaction === 'CreateAccount' ? { ...message, Reason: error.detail || error.description } : message;
    await sendWhole(http, proof, transaction, reasoned, { retryAfterMs: error.retryAfterMs });
  }

  #proofOf(received: ReceivedRequest): Proof {
    if (received.naked) return { kind: 'unsigned' };
    return { kind: 'signed', signer: this.#parts.host(), request: answeredRequest(received) };
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

function overloaded(resource: string): MeshError {
  return new MeshError('overloaded', '', { resource, retryAfterMs: 1000 });
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
  if (authentication.form === 'null') return undefined;
  const account = 'Account' in message ? (message.Account ?? '') : '';
  return `${account.toLowerCase()} ${Buffer.from(authentication.key.raw).toString('latin1')}`;
}

function answeredRequest(received: ReceivedRequest) {
  const { payloadDigest, entries, base } = received;
  return { service: base.service, payloadDigest, reqAuth: reqAuthOf(entries) };
}

function withId(message: Response, id: Uint8Array | undefined): Response {
  return id === undefined ? message : { ...message, ID: id };
}
