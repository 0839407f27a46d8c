/** A client's half of requests: the enveloped, authenticated message and what must be remembered of it (S20, S21, S32). */
import { hmacSha512, sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { Header, type SignatureEntry, Trailer } from '@meshd/dare/header';
import { encodeObject, encodeTagged, object } from '@meshd/encoding/codec';
import { TokenWriter } from '@meshd/encoding/token-writer';
import type { Request } from '@meshd/schema/common';
import { type RequestOf, requestTableOf, requestTagOf, type Transaction } from '@meshd/schema/protocol';
import { credDigest, reqAuth, requestAlgorithm, requestInput, ticketRequestAlgorithm } from './credential.js';
import { type BodyForm, mediaTypeOf } from './media-type.js';
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

/** A ticket in the place of a signer (S32). */
export interface TicketSigner {
  readonly id: string;
  readonly ticket: Uint8Array;
  readonly clientToServer: Uint8Array;
  readonly serverToClient: Uint8Array;
}

/** What the sender keeps in order to judge the answer (S22). */
export interface SentRequest {
  readonly transaction: Transaction;
  readonly service: string;
  readonly id: Uint8Array;
  readonly payloadDigest: Uint8Array;
  readonly reqAuth: Uint8Array;
  /** The ticket that authenticated the request, if one did: the answer may then be MACed under it. */
  readonly ticket?: TicketSigner;
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
  /** Authenticates instead of the signers. */
  readonly ticket?: TicketSigner | undefined;
  /** Encoding of the body and of the message in it; JSON when absent. */
  readonly form?: BodyForm | undefined;
  /** `ID` of an earlier request that is repeated because its answer was lost. */
  readonly id?: Uint8Array;
}

/** Header of requests and responses by encoding, as octets; the metadata in it is advisory (encoding 6.4). */
export const messageHeaders: Readonly<Record<BodyForm, Uint8Array>> = {
  json: headerOf('json'),
  'json-b': headerOf('json-b'),
};

function headerOf(form: BodyForm): Uint8Array {
  const ContentMetaData = Buffer.from(JSON.stringify({ cty: mediaTypeOf[form] }));
  return encodeObject(Header, { dig: 'S512', ContentMetaData }, form);
}

type ProvedEntry = SignatureEntry & { kid: string; signature: Uint8Array };

/**
 * Makes the body of a request.
 *
 * @returns the octets to post, and what to keep for {@link openResponse}
 */
export async function signRequest<T extends Transaction>(
  options: SignRequestOptions<T>,
): Promise<{ body: Uint8Array; sent: SentRequest }> {
  const { transaction, service, signers, ticket, form = 'json' } = options;
  const id = options.id ?? makeRequestId(options.nowMs, options.random);
  const message: Request = { ...options.message, Service: service, ID: id };
  const payload = encodeTagged<Request>(requestTableOf(transaction), message, form, requestTagOf(transaction));
  const payloadDigest = sha512(payload);
  const entries =
    ticket === undefined
      ? await Promise.all(signers.map((signer) => signEntry(signer, service, payloadDigest)))
      : [ticketEntry(ticket, service, payloadDigest)];
  const body = encodeBody(form, payload, entries, payloadDigest);
  const sent = { transaction, service, id, payloadDigest, reqAuth: reqAuth(entries) };
  return { body, sent: ticket === undefined ? sent : { ...sent, ticket } };
}

const trailerKind = object(Trailer);

/** The envelope of a request. In JSON-B, where octets count, what the reader recomputes is left out (encoding 2.5). */
function encodeBody(
  form: BodyForm,
  payload: Uint8Array,
  entries: readonly SignatureEntry[],
  payloadDigest: Uint8Array,
): Uint8Array {
  const writer = new TokenWriter(form);
  writer.beginArray();
  writer.raw(messageHeaders[form]);
  writer.binary(payload);
  trailerKind.write(writer, {
    signatures: [...entries],
    ...(form === 'json' ? { PayloadDigest: payloadDigest } : {}),
  });
  writer.endArray();
  return writer.finish();
}

async function signEntry(signer: RequestSigner, service: string, payloadDigest: Uint8Array): Promise<ProvedEntry> {
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

/** The one entry of a request under a ticket: it brings no credentials, so their digest is that of none. */
function ticketEntry(
  { id, ticket, clientToServer }: TicketSigner,
  service: string,
  payloadDigest: Uint8Array,
): ProvedEntry {
  const signature = hmacSha512(clientToServer, requestInput(service, payloadDigest, credDigest({})));
  return { alg: ticketRequestAlgorithm, kid: id, Ticket: ticket, signature };
}
