/** A client's half of requests: the enveloped, signed message and what must be remembered of it (S20, S21). */
import { sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { encodeTagged } from '@meshd/encoding/codec';
import type { Request } from '@meshd/schema/common';
import { type RequestOf, requestTableOf, requestTagOf, type Transaction } from '@meshd/schema/protocol';
import { credDigest, reqAuth, requestAlgorithm, requestInput } from './credential.js';
import { mediaTypeOf } from './media-type.js';
import { makeRequestId } from './request-id.js';

/**
 * A key that signs a request, with the credentials that say whose it is:
 * - device form: `KeyAuthentication` of a device profile, with `profile`
 * - profile form: combined `KeyAuthentication`, with `connection`
 * - administration proof, CreateAccount: a Mesh key, with nothing
 * - host form: a host's `KeyAuthentication`, with `profile` and `connection`
 */
export interface RequestSigner {
  readonly key: SigningKey;
  readonly profile?: EnvelopeOctets;
  readonly connection?: EnvelopeOctets;
  readonly account?: EnvelopeOctets;
}

/** What the sender keeps in order to judge the answer (S22). */
export interface SentRequest {
  readonly transaction: Transaction;
  readonly service: string;
  readonly id: Uint8Array;
  readonly payloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
}

/** What {@link signRequest} needs. */
export interface SignRequestOptions<T extends Transaction> {
  readonly transaction: T;
  /** The message; `Service` and `ID` are written over. */
  readonly message: RequestOf<T>;
  /** Canonical domain the request is meant for. */
  readonly service: string;
  readonly nowMs: number;
  readonly random: Random;
  /** In order; empty for a Hello without authentication. */
  readonly signers: readonly RequestSigner[];
  /** `ID` of an earlier request that is repeated because its answer was lost. */
  readonly id?: Uint8Array;
}

/** Header of every request and response; the metadata in it is advisory (encoding 6.4). */
export const messageHeader = {
  dig: 'S512',
  ContentMetaData: Buffer.from(JSON.stringify({ cty: mediaTypeOf.json })),
} as const;

/**
 * Makes the body of a request.
 *
 * @returns the octets to post, and what to keep for {@link openResponse}
 */
export async function signRequest<T extends Transaction>(
  options: SignRequestOptions<T>,
): Promise<{ body: Uint8Array; sent: SentRequest }> {
  const { transaction, service, signers } = options;
  const id = options.id ?? makeRequestId(options.nowMs, options.random);
  const message: Request = { ...options.message, Service: service, ID: id };
  const payload = encodeTagged<Request>(requestTableOf(transaction), message, 'json', requestTagOf(transaction));
  const payloadDigest = sha512(payload);
  const entries = await Promise.all(signers.map((signer) => signEntry(signer, service, payloadDigest)));
  const trailer = { ...(entries.length > 0 ? { signatures: entries } : {}), PayloadDigest: payloadDigest };
  const body = writeEnvelope(makeEnvelope({ header: messageHeader, payload, trailer }), 'json');
  return { body, sent: { transaction, service, id, payloadDigest, reqAuth: reqAuth(entries) } };
}

async function signEntry(
  signer: RequestSigner,
  service: string,
  payloadDigest: Uint8Array,
): Promise<SignatureEntry & { kid: string; signature: Uint8Array }> {
  const { key, profile, connection, account } = signer;
  const credentials = credDigest({
    profile: profile?.payload ?? undefined,
    connection: connection?.payload ?? undefined,
    account: account?.payload ?? undefined,
  });
  return {
    alg: requestAlgorithm,
    kid: key.publicKey.udf,
    signature: await key.signAsync(requestInput(service, payloadDigest, credentials)),
    ...(profile ? { Profile: profile } : {}),
    ...(connection ? { Connection: connection } : {}),
    ...(account ? { Account: account } : {}),
  };
}
