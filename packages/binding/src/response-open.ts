/** A client's half of responses (S22, S32): what does not verify is no answer, whatever it says. */
import { type PublicKeyEd448, verifyAsync } from '@meshd/crypto/ed448';
import {
  checkPayloadDigest,
  type DareEnvelope,
  type EnvelopeOctets,
  openEnvelope,
  readEnvelope,
} from '@meshd/dare/envelope';
import { decodeTagged, type Tagged } from '@meshd/encoding/codec';
import type { Response } from '@meshd/schema/common';
import { isResponseTo, type ResponseOf, responseRegistry, type Transaction } from '@meshd/schema/protocol';
import { credDigest, responseAlgorithm, responseInput, ticketResponseAlgorithm } from './credential.js';
import { BindingError } from './errors.js';
import type { BodyForm } from './media-type.js';
import type { SentRequest } from './request-sign.js';
import { isMac } from './ticket-derivation.js';

/** The one signature entry of a response. */
export interface ResponseEntry {
  /** How it was proved: by a host's key, or under the ticket of the request. */
  readonly kind: 'host' | 'ticket';
  readonly kid: string;
  readonly signature: Uint8Array;
  readonly profile: EnvelopeOctets | undefined;
  readonly connection: EnvelopeOctets | undefined;
  readonly account: EnvelopeOctets | undefined;
}

/** A response that was read and not yet believed. */
export interface OpenedResponse<T extends Transaction> {
  readonly tag: string;
  readonly message: ResponseOf<T> & Response;
  readonly payloadDigest: Uint8Array;
  readonly entry: ResponseEntry;
}

/**
 * Reads an enveloped response. Nothing in the result is to be used before {@link checkResponse} passed.
 *
 * @throws BindingError `response-form` for what is no response of this transaction
 */
export function openResponse<T extends Transaction>(
  transaction: T,
  body: Uint8Array,
  form: BodyForm = 'json',
): OpenedResponse<T> {
  try {
    const envelope = openEnvelope(readEnvelope(body, form));
    if (envelope.payload === null) throw new Error('its payload was left out');
    const { tag, value } = decodeResponse(transaction, envelope.payload, form);
    return {
      tag,
      // Members of the declared class that an ancestor lacks are absent, as any member may be.
      message: value as ResponseOf<T> & Response,
      payloadDigest: checkPayloadDigest(envelope),
      entry: soleEntry(envelope),
    };
  } catch (error) {
    throw new BindingError('response-form', `the answer is no response: ${(error as Error).message}`, { cause: error });
  }
}

/** Decodes a payload and checks that the class belongs to the transaction: the declared one or an ancestor (R311). */
function decodeResponse(transaction: Transaction, payload: Uint8Array, form: BodyForm): Tagged {
  const decoded = decodeTagged(responseRegistry, payload, { form, refuseRepeated: true });
  if (!isResponseTo(transaction, decoded.tag)) throw new Error(`${decoded.tag} does not answer ${transaction}`);
  return decoded;
}

const kinds: ReadonlyMap<string, ResponseEntry['kind']> = new Map([
  [responseAlgorithm, 'host'],
  [ticketResponseAlgorithm, 'ticket'],
]);

function soleEntry(envelope: DareEnvelope): ResponseEntry {
  const [entry, second] = envelope.signatures;
  if (entry === undefined || second !== undefined) throw new Error('it has not exactly one signature');
  const kind = entry.alg === undefined ? undefined : kinds.get(entry.alg);
  if (kind === undefined || entry.kid === undefined || entry.signature === undefined) {
    throw new Error('its signature is none of a response');
  }
  return {
    kind,
    kid: entry.kid,
    signature: entry.signature,
    profile: entry.Profile,
    connection: entry.Connection,
    account: entry.Account,
  };
}

/**
 * Checks that a response answers the request and was signed by the host (S22).
 *
 * @throws BindingError `response-refused`
 */
export async function checkResponse<T extends Transaction>(
  response: OpenedResponse<T>,
  sent: SentRequest,
  hostKey: PublicKeyEd448,
): Promise<void> {
  const { entry } = response;
  if (entry.kind !== 'host') refuse('it is MACed where a signature is needed');
  if (entry.kid !== hostKey.udf) refuse('signed by another key than the host has');
  if (!(await verifyAsync(hostKey, inputOf(response, sent), entry.signature))) {
    refuse('its signature does not hold for this request');
  }
  checkAnswer(response, sent);
}

/**
 * Checks that a response answers a request under a ticket and was MACed under the same (S32).
 *
 * @throws BindingError `response-refused`
 */
export function checkTicketResponse<T extends Transaction>(response: OpenedResponse<T>, sent: SentRequest): void {
  const { entry } = response;
  const { ticket } = sent;
  if (ticket === undefined || entry.kind !== 'ticket' || entry.kid !== ticket.id) {
    refuse('it is MACed under another ticket than that of the request');
  } else if (!isMac(ticket.serverToClient, inputOf(response, sent), entry.signature)) {
    refuse('its MAC does not hold for this request');
  }
  checkAnswer(response, sent);
}

function inputOf(response: OpenedResponse<Transaction>, sent: SentRequest): Uint8Array {
  const { entry } = response;
  return responseInput({
    service: sent.service,
    requestPayloadDigest: sent.payloadDigest,
    reqAuth: sent.reqAuth,
    responsePayloadDigest: response.payloadDigest,
    credDigest: credDigest({
      profile: entry.profile?.payload ?? undefined,
      connection: entry.connection?.payload ?? undefined,
      account: entry.account?.payload ?? undefined,
    }),
  });
}

function checkAnswer({ message }: OpenedResponse<Transaction>, sent: SentRequest): void {
  if (message.ID === undefined || Buffer.compare(message.ID, sent.id) !== 0) refuse('its ID is another one');
  if (message.Status === undefined) refuse('it has no Status');
}

function refuse(why: string): never {
  throw new BindingError('response-refused', `the answer is refused: ${why}`);
}
