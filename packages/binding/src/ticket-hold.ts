/**
 * The client's half of tickets (S30, S32, S33): the exchange by which one is obtained, and the tickets that a connection
 * holds.
 */
import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { CryptoError } from '@meshd/crypto/errors';
import type { Random } from '@meshd/crypto/random';
import { generateX448, type X448Key } from '@meshd/crypto/x448';
import { openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import { ticketChainMsMax, ticketMsMax, ticketRenewMs } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import type { ExchangeRequest, ExchangeResponse } from '@meshd/schema/common';
import { connectionRegistry } from '@meshd/schema/connections';
import type { RequestSigner, SentRequest } from './request-sign.js';
import { exchangeSecret, ticketIdOf, ticketSecrets, ticketWitness } from './ticket-derivation.js';

/** A ticket with what is needed to use it. Secret: whoever has it speaks for the device until it ends. */
export interface HeldTicket {
  readonly id: string;
  readonly ticket: Uint8Array;
  /** kc. */
  readonly clientToServer: Uint8Array;
  /** ks. */
  readonly serverToClient: Uint8Array;
  readonly expiresMs: number;
  /** When the service last saw a signature, by our clock. */
  readonly signedAtMs: number;
  /** Feature words that the request named; they hold for requests that name none. */
  readonly features: readonly string[];
  /** The host that issued it: raw key, name, and until when it was shown to be one. */
  readonly host: { readonly key: Uint8Array; readonly udf: string; readonly notAfterMs: number };
}

/** Where tickets are kept, by names that tell whose they are. In memory unless told otherwise. */
export interface TicketStore {
  get(name: string): HeldTicket | undefined | Promise<HeldTicket | undefined>;
  put(name: string, ticket: HeldTicket): void | Promise<void>;
  delete(name: string): void | Promise<void>;
}

/** Tickets for the life of the process only. */
export function memoryTicketStore(): TicketStore {
  const held = new Map<string, HeldTicket>();
  return {
    get: (name) => held.get(name),
    put: (name, ticket) => {
      held.set(name, ticket);
    },
    delete: (name) => {
      held.delete(name);
    },
  };
}

/** Whether a request can still be sent under a ticket. */
export function isUsable(ticket: HeldTicket | undefined, nowMs: number): ticket is HeldTicket {
  return ticket !== undefined && nowMs < ticket.expiresMs;
}

/** Whether another ticket should be asked for: there is none, or it ends soon. */
export function isDue(ticket: HeldTicket | undefined, nowMs: number): boolean {
  return ticket === undefined || nowMs >= ticket.expiresMs - ticketRenewMs;
}

/**
 * Whether a ticket can be renewed under itself: the service must not want a signature by then, and we must not want to see
 * the host's credentials again.
 */
export function isRenewable(ticket: HeldTicket, nowMs: number): boolean {
  return nowMs + ticketMsMax < ticket.signedAtMs + ticketChainMsMax && nowMs < ticket.host.notAfterMs;
}

/**
 * Names the ticket of a signer for an account.
 *
 * @param account address as the request names it; empty in device form
 */
export function ticketName(service: string, account: string, { key, profile, connection }: RequestSigner): string {
  const credential = sha512(connection?.payload ?? profile?.payload ?? new Uint8Array(0));
  const digest = sha512(key.publicKey.raw, credential, Buffer.from(account));
  return `${service} ${Buffer.from(digest.subarray(0, 32)).toString('hex')}`;
}

/**
 * The account that a connection is for at a service, canonical; what a Hello, which names none, is authenticated for.
 *
 * @returns undefined when the connection names no account there, or cannot be read
 */
export function accountOfConnection(payload: Uint8Array, service: string): string | undefined {
  try {
    const { value } = decodeTagged(connectionRegistry, payload, { form: 'json' });
    const addresses = 'ServiceID' in value ? (value.ServiceID ?? []) : [];
    return addresses.map((address) => canonicalAddress(address)).find((address) => address.endsWith(`@${service}`));
  } catch {
    return undefined;
  }
}

/** The account of a signer; undefined for one without connection. */
export function accountOfSigner({ connection }: RequestSigner, service: string): string | undefined {
  const payload = connection === undefined ? null : openEnvelope(connection).payload;
  return payload === null ? undefined : accountOfConnection(payload, service);
}

/** An exchange that was begun. */
export interface ClientExchange {
  readonly key: X448Key;
  /** What goes into the request. */
  readonly member: ExchangeRequest;
}

/** Begins an exchange with a fresh key. */
export function beginExchange(random: Random): ClientExchange {
  const key = generateX448(random);
  return { key, member: { ClientNonce: { tag: 'PublicKeyECDH', value: { crv: 'X448', Public: key.publicRaw } } } };
}

/** What {@link finishExchange} goes by, besides the exchange. */
export interface FinishOptions {
  readonly sent: SentRequest;
  /** A: raw key that signed the request, or the one whose ticket is renewed. */
  readonly requesterKey: Uint8Array;
  readonly host: HeldTicket['host'];
  readonly features: readonly string[];
  readonly signedAtMs: number;
}

/**
 * Ends an exchange with the service's part, which a verified response brought.
 *
 * @returns the ticket; undefined for one that the host cannot have issued, which is discarded
 */
export function finishExchange(
  { key }: ClientExchange,
  response: ExchangeResponse,
  options: FinishOptions,
): HeldTicket | undefined {
  const { ServerNonce: nonce, Ticket: ticket, Witness: witness, Expires: expires } = response;
  const serverNonce = nonce?.tag === 'PublicKeyECDH' && nonce.value.crv === 'X448' ? nonce.value.Public : undefined;
  if (serverNonce === undefined || !ticket || !witness || !expires) return undefined;
  const { sent, requesterKey, host, features, signedAtMs } = options;
  const shared = agreed(key, serverNonce);
  if (shared === undefined) return undefined;
  const prk = exchangeSecret(
    {
      service: sent.service,
      requesterKey,
      clientNonce: key.publicRaw,
      hostKey: host.key,
      serverNonce,
      requestPayloadDigest: sent.payloadDigest,
      reqAuth: sent.reqAuth,
    },
    shared,
  );
  const expiresMs = expires.getTime();
  if (!constantTimeEqual(ticketWitness(prk, ticket, expiresMs), witness)) return undefined;
  const secrets = ticketSecrets(prk);
  return { id: ticketIdOf(ticket), ticket, ...secrets, expiresMs, signedAtMs, features, host };
}

function agreed(key: X448Key, peer: Uint8Array): Uint8Array | undefined {
  try {
    return key.agree(peer);
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}
