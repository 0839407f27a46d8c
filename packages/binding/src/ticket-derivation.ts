/**
 * What both ends of a ticket compute (S30, S32): transcript, keys, witness, name. Pure; who may have a ticket and how
 * it is carried is decided elsewhere.
 */
import { concat, constantTimeEqual, hmacSha512, label, lv, type MacKey, sha512, u64 } from '@meshd/crypto/digest';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import { presentUdf, udfType } from '@meshd/crypto/udf';

const transcriptLabel = label('mesh-ticket-2');
const witnessLabel = label('mesh-ticket-witness-1');
const witnessBytes = 32;
const keyBytes = 64;
/** A ticket id is a nonce UDF of 28 characters, five bits each. */
const ticketIdBits = 140;

/** Everything that the two halves of an exchange must agree on. All keys raw. */
export interface ExchangeTranscript {
  readonly service: string;
  /** A: the key that signed the request. */
  readonly requesterKey: Uint8Array;
  /** NA. */
  readonly clientNonce: Uint8Array;
  /** B: `KeyAuthentication` of the host. */
  readonly hostKey: Uint8Array;
  /** NB. */
  readonly serverNonce: Uint8Array;
  readonly requestPayloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
}

/** The transcript digest `th` (S30), 64 octets. The ticket itself is no input of it. */
export function transcriptDigest(transcript: ExchangeTranscript): Uint8Array {
  return sha512(
    transcriptLabel,
    lv(transcript.service),
    lv(transcript.requesterKey),
    lv(transcript.clientNonce),
    lv(transcript.hostKey),
    lv(transcript.serverNonce),
    transcript.requestPayloadDigest,
    transcript.reqAuth,
  );
}

/**
 * PRK (S30), 64 octets: what a ticket is sealed over.
 *
 * @param sharedSecret what X448 gave, 56 octets
 */
export function exchangeSecret(transcript: ExchangeTranscript, sharedSecret: Uint8Array): Uint8Array {
  return hkdfExtract('sha512', transcriptDigest(transcript), sharedSecret);
}

/** The keys of a ticket, 64 octets each. */
export interface TicketSecrets {
  /** kc: MACs requests. */
  readonly clientToServer: Uint8Array;
  /** ks: MACs responses. */
  readonly serverToClient: Uint8Array;
}

/** Expands the keys that MAC requests and responses from PRK. The info texts have no terminating zero. */
export function ticketSecrets(prk: Uint8Array): TicketSecrets {
  return {
    clientToServer: hkdfExpand('sha512', prk, 'ClientToServerAuthenticate', keyBytes),
    serverToClient: hkdfExpand('sha512', prk, 'ServerToClientAuthenticate', keyBytes),
  };
}

/** The key of the witness: proves to the client that the host has PRK. */
export function witnessKey(prk: Uint8Array): Uint8Array {
  return hkdfExpand('sha512', prk, 'witness', keyBytes);
}

/**
 * The witness of a ticket (S30), 32 octets.
 *
 * @param expiresMs milliseconds since 1970; whole seconds, since that is what its member can say
 */
export function ticketWitness(prk: Uint8Array, ticket: Uint8Array, expiresMs: number): Uint8Array {
  return hmacSha512(witnessKey(prk), witnessLabel, lv(ticket), u64(expiresMs)).subarray(0, witnessBytes);
}

/** The ticket id, `kid` of entries under it (S32): a nonce UDF made of its digest. */
export function ticketIdOf(ticket: Uint8Array): string {
  return presentUdf(concat(Uint8Array.of(udfType.nonce), sha512(ticket)), ticketIdBits);
}

/**
 * Whether octets are the MAC of an input. The time depends on the length alone; a MAC cut short is none (S32).
 */
export function isMac(key: Uint8Array | MacKey, input: Uint8Array, mac: Uint8Array): boolean {
  return constantTimeEqual(hmacSha512(key, input), mac);
}
