/** The service's half of using a ticket (S31–S33): opens tickets, and remembers those that are in use. */
import { MacKey } from '@meshd/crypto/digest';
import { openedTicketsMax, ticketBytesMax } from '@meshd/limits/limits';
import { LRUCache } from 'lru-cache';
import { ticketIdOf, ticketSecrets } from './ticket-derivation.js';
import type { TicketKeyRing } from './ticket-keys.js';
import { openTicket, type TicketContent } from './ticket-seal.js';

/** A ticket that was opened: our own words, so what it says is true of the time when it was issued. */
export interface OpenedTicket {
  readonly id: string;
  readonly content: TicketContent;
  /** kc and ks, ready for use. */
  readonly secrets: { readonly clientToServer: MacKey; readonly serverToClient: MacKey };
}

const keyIdAt = { start: 1, end: 9 };

/**
 * Opens tickets. What was opened is kept, so that a request under a ticket costs two MACs; nothing depends on it.
 */
export class TicketOpener {
  readonly #ring: () => TicketKeyRing;
  readonly #serviceUdf: () => string;
  readonly #opened = new LRUCache<string, OpenedTicket>({ max: openedTicketsMax });

  /**
   * @param ring the keys of the moment
   * @param serviceUdf UDF of the ProfileService
   */
  constructor(ring: () => TicketKeyRing, serviceUdf: () => string) {
    this.#ring = ring;
    this.#serviceUdf = serviceUdf;
  }

  /** Opens a ticket; undefined for one that is not ours, whose key was retired, or whose time is over. */
  open(ticket: Uint8Array, nowMs: number): OpenedTicket | undefined {
    if (ticket.length > ticketBytesMax) return undefined;
    const ring = this.#ring();
    const keyOf = (keyId: Uint8Array) => ring.opening(keyId, nowMs);
    // Asked for kept ones too: with its key a ticket is gone, at once and everywhere.
    if (keyOf(ticket.subarray(keyIdAt.start, keyIdAt.end)) === undefined) return undefined;
    const name = Buffer.from(ticket.buffer, ticket.byteOffset, ticket.length).toString('latin1') + this.#serviceUdf();
    const opened = this.#opened.get(name) ?? this.#openAnew(name, keyOf, ticket);
    return opened !== undefined && nowMs < opened.content.expiresMs ? opened : undefined;
  }

  #openAnew(name: string, keyOf: Parameters<typeof openTicket>[0], ticket: Uint8Array): OpenedTicket | undefined {
    const content = openTicket(keyOf, this.#serviceUdf(), ticket);
    if (content === undefined) return undefined;
    const { clientToServer, serverToClient } = ticketSecrets(content.prk);
    const secrets = { clientToServer: new MacKey(clientToServer), serverToClient: new MacKey(serverToClient) };
    const opened = { id: ticketIdOf(ticket), content, secrets };
    this.#opened.set(name, opened);
    return opened;
  }
}
