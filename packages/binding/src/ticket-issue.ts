/** The service's half of an exchange (S30): from the client's nonce and who the requester is to a sealed ticket. */
import { CryptoError } from '@meshd/crypto/errors';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { checkX448, generateX448 } from '@meshd/crypto/x448';
import { ticketChainMsMax, ticketMsMax } from '@meshd/limits/limits';
import type { ExchangeRequest, ExchangeResponse } from '@meshd/schema/common';
import { MeshError } from '@meshd/schema/status';
import type { SealKey } from './seal.js';
import { type ExchangeTranscript, exchangeSecret, ticketWitness } from './ticket-derivation.js';
import { sealTicket, type TicketContent } from './ticket-seal.js';

/**
 * The client's X448 key of an exchange, checked before anything is done for the request.
 *
 * @throws MeshError `malformed` for another kind of key, and for points of small order
 */
export function clientNonceOf({ ClientNonce: nonce }: ExchangeRequest): Uint8Array {
  if (nonce?.tag !== 'PublicKeyECDH' || nonce.value.crv !== 'X448' || nonce.value.Public === undefined) {
    throw new MeshError('malformed', 'ClientNonce is no X448 key');
  }
  try {
    checkX448(nonce.value.Public);
  } catch (error) {
    if (error instanceof CryptoError) throw new MeshError('malformed', 'ClientNonce is refused', { cause: error });
    throw error;
  }
  return nonce.value.Public;
}

/** Whom a ticket is for, as it will say. */
export type TicketHolder = Omit<TicketContent, 'issuedMs' | 'expiresMs' | 'prk'>;

/** What {@link issueTicket} needs. */
export interface IssueTicketOptions {
  readonly holder: TicketHolder;
  /** What of the request goes into the transcript. */
  readonly request: Pick<ExchangeTranscript, 'clientNonce' | 'requestPayloadDigest' | 'reqAuth'>;
  /** Raw `KeyAuthentication` of the host that answers. */
  readonly hostKey: Uint8Array;
  readonly sealKey: SealKey;
  /** UDF of the ProfileService. */
  readonly serviceUdf: string;
  readonly nowMs: number;
  readonly random?: Random;
}

/**
 * Issues a ticket.
 *
 * @throws MeshError `ticket` when the last signature is too long ago: another one is needed (S33)
 */
export function issueTicket(options: IssueTicketOptions): ExchangeResponse {
  const { holder, request, hostKey, sealKey, serviceUdf, nowMs, random = systemRandom } = options;
  const chainEndMs = holder.signedAtMs + ticketChainMsMax;
  if (nowMs >= chainEndMs) throw new MeshError('ticket', 'a signature is needed');
  // Whole seconds: the witness covers milliseconds, and a DateTime cannot say them.
  const expiresMs = Math.floor(Math.min(nowMs + ticketMsMax, chainEndMs) / 1000) * 1000;
  const ours = generateX448(random);
  const transcript = {
    ...request,
    service: holder.service,
    requesterKey: holder.key,
    hostKey,
    serverNonce: ours.publicRaw,
  };
  const prk = exchangeSecret(transcript, ours.agree(request.clientNonce));
  const content = { ...holder, issuedMs: nowMs, expiresMs, prk };
  const ticket = sealTicket(sealKey, serviceUdf, content, random);
  return {
    ServerNonce: { tag: 'PublicKeyECDH', value: { crv: 'X448', Public: ours.publicRaw } },
    Ticket: ticket,
    Witness: ticketWitness(prk, ticket, expiresMs),
    Expires: new Date(expiresMs),
  };
}
