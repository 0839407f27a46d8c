/**
 * The octets that are signed in requests and responses (S21, S22), and nothing else: no parsing, no keys.
 *
 * Every input begins with a label of its own and is longer than 64 octets, so that none can be taken for another, nor
 * for the digest that an S512 signature covers (S02).
 */
import { concat, label, lv, sha512 } from '@meshd/crypto/digest';

/** `alg` of a signature entry in a request (S21). */
export const requestAlgorithm = 'S512-REQ1';
/** `alg` of a signature entry in a response (S22). */
export const responseAlgorithm = 'S512-RSP1';
/** `alg` of a request MAC under a ticket (S32). */
export const ticketRequestAlgorithm = 'HS512-REQ1';
/** `alg` of a response MAC under a ticket (S32). */
export const ticketResponseAlgorithm = 'HS512-RSP1';

const credentialLabel = label('mesh-cred-1');
const requestLabel = label('mesh-request-1');
const responseLabel = label('mesh-response-1');
const requestAuthLabel = label('mesh-reqauth-1');
const nothing = new Uint8Array(0);

/** Payload octets of the credential envelopes of one signature entry; absent ones are left out. */
export interface CredentialPayloads {
  readonly profile?: Uint8Array | undefined;
  readonly connection?: Uint8Array | undefined;
  readonly account?: Uint8Array | undefined;
}

/**
 * CredDigest (S21): brings the credentials of an entry, which stand outside the payload, under its signature.
 *
 * @returns 64 octets
 */
export function credDigest(payloads: CredentialPayloads): Uint8Array {
  const part = (octets: Uint8Array | undefined) => lv(octets ?? nothing);
  return sha512(credentialLabel, part(payloads.profile), part(payloads.connection), part(payloads.account));
}

/**
 * What a request entry signs (S21).
 *
 * @param service the payload's `Service`, as it stands there
 * @param payloadDigest recomputed SHA-512 of the request payload
 */
export function requestInput(service: string, payloadDigest: Uint8Array, credentials: Uint8Array): Uint8Array {
  return concat(requestLabel, lv(service), payloadDigest, credentials);
}

/** `kid` and signature octets of a request entry, as they stood in the request. */
export interface RequestProof {
  readonly kid: string;
  readonly signature: Uint8Array;
}

/**
 * ReqAuth (S22): ties a response to the very signatures of its request, so that an answer cannot be carried to another
 * caller who sent the same payload.
 *
 * @param entries all entries of the request in order; none for a Hello without authentication
 */
export function reqAuth(entries: readonly RequestProof[]): Uint8Array {
  return sha512(requestAuthLabel, ...entries.flatMap(({ kid, signature }) => [lv(kid), lv(signature)]));
}

/** What {@link responseInput} covers. */
export interface ResponseBinding {
  /** `Service` of the request; empty when the request named none. */
  readonly service: string;
  readonly requestPayloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
  readonly responsePayloadDigest: Uint8Array;
  /** CredDigest of the response's own entry. */
  readonly credDigest: Uint8Array;
}

/** What a response entry signs (S22). */
export function responseInput(binding: ResponseBinding): Uint8Array {
  return concat(
    responseLabel,
    lv(binding.service),
    binding.requestPayloadDigest,
    binding.reqAuth,
    binding.responsePayloadDigest,
    binding.credDigest,
  );
}
