/**
 * One service's way to another: found by its domain, known by its pin, spoken to as a host (semantics 8.1; S26, S70).
 *
 * A first Post is signed; a ticket is then asked for beside the traffic, and takes the place of signatures when it is
 * there. Nothing is decided here: what went wrong, and when to try again, is for the scheduler.
 */

import { type Random, systemRandom } from '@meshd/crypto/random';
import { httpBodyMsMax, outboundTransactionMsMax } from '@meshd/limits/limits';
import { peerConnectionIdleMs, peerConnectionsMax, peerResponseBytesMax, peerTicketRetryMs } from '@meshd/limits/peers';
import type { Feature } from '@meshd/schema/features';
import type { PostRequest } from '@meshd/schema/protocol';
import { statusRegistry } from '@meshd/schema/status';
import type { ServiceLocator } from './discovery/service-locator.js';
import { BindingError } from './errors.js';
import type { HostIdentity } from './host-files.js';
import { LocatedPoster } from './located-poster.js';
import { type CallOptions, MeshConnection, type VerifiedHello, type VerifiedResponse } from './mesh-connection.js';
import type { PinStore } from './pins.js';
import type { RequestSigner } from './request-sign.js';
import { type HeldTicket, isDue, type TicketStore, ticketName } from './ticket-hold.js';

/** What {@link PeerConnection} needs. */
export interface PeerConnectionOptions {
  /** Canonical domain of the other service. */
  readonly domain: string;
  readonly locator: Pick<ServiceLocator, 'locate'>;
  /** Who we are, as of now: a renewed ConnectionHost takes effect with the next request. */
  readonly host: () => HostIdentity;
  readonly pins: PinStore;
  /** Certificates (PEM) trusted instead of the usual ones. */
  readonly ca?: string | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly clock: () => number;
  readonly random?: Random | undefined;
}

/** Bounds of one transaction. */
export interface PeerCallOptions {
  /** When it must be over, milliseconds since 1970; discovery and a Hello that is needed first are included. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Words that a service names in what it posts. */
const peerFeatures: readonly Feature[] = ['entry', 'receipt-1'];

const { 'wrong-host': wrongHost, 'service-unverified': unverified } = statusRegistry;

/** A way to one service, with connections and a ticket kept for the next Post. */
export class PeerConnection {
  readonly domain: string;
  readonly #options: PeerConnectionOptions;
  readonly #poster: LocatedPoster;
  readonly #connection: MeshConnection;
  readonly #tickets = soleTicket();
  readonly #stopped = new AbortController();
  #ticketAskedMs = Number.NEGATIVE_INFINITY;

  constructor(options: PeerConnectionOptions) {
    const { domain, locator, pins, ca, clock, random = systemRandom } = options;
    this.domain = domain;
    this.#options = options;
    const bounds = { connectionsMax: peerConnectionsMax, idleMs: peerConnectionIdleMs };
    this.#poster = new LocatedPoster({ domain, locator, ca, clock, ...bounds, responseBytesMax: peerResponseBytesMax });
    const shared = { domain, clock, random, poster: this.#poster, tickets: this.#tickets };
    this.#connection = new MeshConnection({ ...shared, pins, features: peerFeatures });
  }

  /**
   * Asks the service who it is, and pins it or compares it with the pin (S23, S26).
   *
   * @throws BindingError, among others `pin-mismatch`, `feature-missing` (S75) and the `discovery-` codes
   */
  async hello(options: PeerCallOptions): Promise<VerifiedHello> {
    return this.#within(options, (call) => this.#connection.hello(call));
  }

  /**
   * Posts messages. Statuses are results. An answer that sends elsewhere is not followed, but the next attempt asks the DNS
   * anew; so does, at once, one that says that the service is not there (semantics 8.1).
   *
   * @param options.id `ID` of an earlier Post that is repeated because its answer was lost
   * @throws BindingError when there is no verified answer; then nothing may be concluded about the messages
   */
  async post(
    message: PostRequest,
    options: PeerCallOptions & { readonly id?: Uint8Array | undefined },
  ): Promise<VerifiedResponse<'Post'>> {
    const response = await this.#within(options, async (call) => {
      const send = () => this.#connection.call('Post', message, [this.#signer()], { ...call, id: options.id });
      const first = await send();
      const isElsewhere = first.status >= 300 && first.status < 400 && first.statusExtended === undefined;
      if (isElsewhere || first.status === wrongHost.status) this.#poster.discoverAnew();
      return first.status === wrongHost.status ? send() : first;
    });
    // One that does not know us yet gives no ticket, and would not be asked again for a while.
    if (response.statusExtended !== unverified.extended) this.#wantTicket();
    return response;
  }

  /** Ends what is on its way and closes connections. The object must not be used afterwards. */
  stop(): void {
    this.#stopped.abort(new BindingError('transport', 'stopped'));
    this.#poster.close();
  }

  #signer(): RequestSigner {
    const { signingKey: key, profileHost: profile, connectionHost: connection } = this.#options.host();
    return { key, profile, connection };
  }

  /** One deadline around all that a call may need: discovery, Hello, a second attempt. */
  async #within<T>(options: PeerCallOptions, work: (call: CallOptions) => Promise<T>): Promise<T> {
    const timeoutMs = Math.ceil(options.deadlineMs - this.#options.clock());
    const late = (cause?: unknown) => new BindingError('timeout', `${this.domain}: no answer in time`, { cause });
    this.#stopped.signal.throwIfAborted();
    if (timeoutMs <= 0) throw late();
    const expired = AbortSignal.timeout(Math.min(timeoutMs, httpBodyMsMax));
    const signals = [expired, this.#stopped.signal, ...(options.signal ? [options.signal] : [])];
    try {
      return await work({ signal: AbortSignal.any(signals), timeoutMs });
    } catch (error) {
      throw expired.aborted ? late(error) : error;
    }
  }

  /** Asks for a ticket where one is due, beside the traffic: without one requests are signed, so its failure is no fault. */
  #wantTicket(): void {
    const nowMs = this.#options.clock();
    const signer = this.#signer();
    const held = this.#tickets.get(ticketName(this.domain, '', signer));
    if (!isDue(held, nowMs) || nowMs < this.#ticketAskedMs + peerTicketRetryMs) return;
    this.#ticketAskedMs = nowMs;
    const options = { deadlineMs: nowMs + outboundTransactionMsMax };
    this.#within(options, (call) => this.#connection.call('Hello', {}, [signer], call)).catch(() => undefined);
  }
}

/** The newest ticket alone: an earlier one was for an earlier ConnectionHost. */
function soleTicket(): Omit<TicketStore, 'get'> & { get(name: string): HeldTicket | undefined } {
  let kept: { name: string; ticket: HeldTicket } | undefined;
  return {
    get: (name) => (kept?.name === name ? kept.ticket : undefined),
    put: (name, ticket) => {
      kept = { name, ticket };
    },
    delete: (name) => {
      if (kept?.name === name) kept = undefined;
    },
  };
}
