/** The tickets of one connection: which request goes under which, when another is asked for, what an answer brings. */
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { exchangesRememberedMax } from '@meshd/limits/client';
import type { Response } from '@meshd/schema/common';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { LRUCache } from 'lru-cache';
import type { RequestSigner, SentRequest } from './request-sign.js';
import {
  accountOfSigner,
  beginExchange,
  type ClientExchange,
  finishExchange,
  type HeldTicket,
  isDue,
  memoryTicketStore,
  type TicketStore,
  ticketName,
} from './ticket-hold.js';

/** What {@link TicketWallet} needs. */
export interface TicketWalletOptions {
  /** Canonical domain of the service. */
  readonly domain: string;
  readonly store: TicketStore | undefined;
  readonly clock: () => number;
  readonly random: Random;
}

/** A verified answer that may bring a ticket, with what it answers. */
export interface TicketAnswer {
  readonly exchange: ClientExchange | undefined;
  /** The ticket that authenticated the request, if one did. */
  readonly ticket: HeldTicket | undefined;
  readonly signer: RequestSigner | undefined;
  readonly sent: SentRequest;
  readonly message: Response;
  /** Feature words that the request named. */
  readonly features: readonly string[];
  readonly host: { readonly key: PublicKeyEd448; readonly udf: string; readonly notAfterMs: number };
}

/**
 * Transactions in which a ticket is asked for: those that may be repeated with another payload. A writing request is known
 * again by its digest, also by a later run that has no memory of an exchange.
 */
const exchanging: ReadonlySet<Transaction> = new Set(['Hello', 'Status', 'Download', 'Complete']);
/** Transactions that want a signature by themselves (S25, semantics 6.2). */
const signedOnly: ReadonlySet<Transaction> = new Set(['CreateAccount', 'DeleteAccount']);

/** Keeps tickets. */
export class TicketWallet {
  readonly #options: TicketWalletOptions;
  readonly #store: TicketStore;
  /** Names of tickets that are being asked for: one request at a time does. */
  readonly #asking = new Set<string>();
  readonly #exchanges = new LRUCache<string, ClientExchange>({ max: exchangesRememberedMax });

  constructor(options: TicketWalletOptions) {
    this.#options = options;
    this.#store = options.store ?? memoryTicketStore();
  }

  /** The name under which a ticket for a request is kept; undefined where the request is to be signed in any case. */
  nameFor(
    transaction: Transaction,
    message: RequestOf<Transaction>,
    signers: readonly RequestSigner[],
  ): string | undefined {
    const [signer, second] = signers;
    if (signer === undefined || second !== undefined || signedOnly.has(transaction)) return undefined;
    const { domain } = this.#options;
    const named = 'Account' in message ? message.Account : accountOfSigner(signer, domain);
    return ticketName(domain, (signer.connection === undefined ? undefined : named) ?? '', signer);
  }

  async get(name: string): Promise<HeldTicket | undefined> {
    return this.#store.get(name);
  }

  async drop(name: string): Promise<void> {
    await this.#store.delete(name);
  }

  /** Begins an exchange where a ticket is due and nobody else is asking for it; the same one again for a repetition. */
  begin(
    transaction: Transaction,
    name: string,
    ticket: HeldTicket | undefined,
    id: Uint8Array | undefined,
  ): ClientExchange | undefined {
    const idText = id === undefined ? undefined : Buffer.from(id).toString('hex');
    const repeated = idText === undefined ? undefined : this.#exchanges.get(idText);
    if (repeated !== undefined) return repeated;
    const { clock, random } = this.#options;
    if (!exchanging.has(transaction) || !isDue(ticket, clock()) || this.#asking.has(name)) return undefined;
    this.#asking.add(name);
    const exchange = beginExchange(random);
    if (idText !== undefined) this.#exchanges.set(idText, exchange);
    return exchange;
  }

  /** An exchange that was begun has ended, one way or the other. */
  end(name: string, exchange: ClientExchange | undefined): void {
    if (exchange !== undefined) this.#asking.delete(name);
  }

  /** Puts away the ticket that a verified answer brings; one that its host cannot have issued is discarded. */
  async keep(name: string, { exchange, ticket, signer, sent, message, features, host }: TicketAnswer): Promise<void> {
    const { Exchange: response } = message;
    if (response === undefined || exchange === undefined || signer === undefined) return;
    const fresh = finishExchange(exchange, response, {
      sent,
      requesterKey: signer.key.publicKey.raw,
      host: { key: host.key.raw, udf: host.udf, notAfterMs: host.notAfterMs },
      features,
      signedAtMs: ticket?.signedAtMs ?? this.#options.clock(),
    });
    if (fresh !== undefined) await this.#store.put(name, fresh);
  }
}
