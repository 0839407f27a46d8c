/**
 * The service's half of requests, before any signature is looked at: from octets to a typed message (S20, encoding 6.6).
 *
 * In two steps, so that a fault found in the second can still be answered with a signature: {@link receiveRequest}
 * takes the envelope apart, {@link decodeRequest} reads the message in it.
 */
import { sha512 } from '@meshd/crypto/digest';
import { decodeEnvelope, type EnvelopeOctets, readEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import type { SignatureEntry } from '@meshd/dare/header';
import { decodeTagged } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { TokenReader } from '@meshd/encoding/token-reader';
import { largeRequestBytesMax } from '@meshd/limits/large';
import {
  echoedIdBytesMax,
  httpBodyBytesMax,
  messageDecodedBytesMax,
  postDecodedBytesMax,
  requestIdBytes,
  signatureEntriesMax,
} from '@meshd/limits/limits';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { requestRegistry } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import type { BodyForm } from './media-type.js';

/** Members that an answer needs, read from a message that may be broken further on. */
export interface RequestBase {
  /** Undefined where the tag is none of ours. */
  readonly transaction: Transaction | undefined;
  /** `Service` as it stands; empty where there is none. */
  readonly service: string;
  /** `ID`, if it has the length that every authenticated request's has. */
  readonly id: Uint8Array | undefined;
  /** `ID` as given, for the answer; a bare Hello may have one of any form. Absent when too long to be sent back. */
  readonly echo: Uint8Array | undefined;
}

/** A request whose envelope was taken apart. */
export interface ReceivedRequest {
  /** The message came without envelope: null authentication, and the answer comes without one as well. */
  readonly naked: boolean;
  readonly form: BodyForm;
  /** The body as it came. */
  readonly body: Uint8Array;
  readonly payload: Uint8Array;
  /** SHA-512 of the payload, recomputed. */
  readonly payloadDigest: Uint8Array;
  /** `PayloadDigest` as stated, if it was. */
  readonly payloadDigestStated: Uint8Array | undefined;
  readonly entries: readonly SignatureEntry[];
  readonly base: RequestBase;
}

/** A typed message with its transaction. */
export type AnyRequest = {
  [T in Transaction]: { readonly transaction: T; readonly message: RequestOf<T> };
}[Transaction];

/** A request whose message was read. */
export interface OpenedRequest {
  readonly received: ReceivedRequest;
  readonly request: AnyRequest;
}

const openingBracket = '['.charCodeAt(0);
const openingBrace = '{'.charCodeAt(0);

/**
 * Takes a body apart: `[` begins an envelope, `{` a naked message (encoding 6.4).
 *
 * @throws MeshError `malformed`; nothing can be signed in answer to such a body
 */
export function receiveRequest(body: Uint8Array, form: BodyForm): ReceivedRequest {
  const first = firstOctet(body);
  if (first === openingBrace) return received({ naked: true, form, body, payload: body });
  if (first !== openingBracket) throw new MeshError('malformed', 'the body is neither an envelope nor a message');
  return refusing(() => {
    const { header, payload, trailer } = decodeEnvelope(body, form);
    if (payload === null) throw new MeshError('malformed', 'the envelope of a request needs its payload');
    return received({
      naked: false,
      form,
      body,
      payload,
      entries: trailer.signatures ?? header.signatures ?? [],
      payloadDigestStated: trailer.PayloadDigest ?? header.PayloadDigest,
    });
  });
}

interface Parts {
  readonly naked: boolean;
  readonly form: BodyForm;
  readonly body: Uint8Array;
  readonly payload: Uint8Array;
  readonly entries?: readonly SignatureEntry[];
  readonly payloadDigestStated?: Uint8Array | undefined;
}

function received({ entries = [], payloadDigestStated, ...parts }: Parts): ReceivedRequest {
  const base = readBase(parts.payload, parts.form);
  const payloadDigest = sha512(parts.payload);
  return { ...parts, payloadDigest, entries, payloadDigestStated, base };
}

/** The whole envelope of a request, for the shard, which verifies some signatures itself (S24); undefined without one. */
export function requestEnvelopeOf({ naked, body, form }: ReceivedRequest): EnvelopeOctets | undefined {
  return naked ? undefined : refusing(() => readEnvelope(body, form));
}

/** The encoding that a request is answered in: its own. Hello is JSON, so that is what a peer at fault hears too. */
export function answerFormOf({ base, form }: ReceivedRequest): BodyForm {
  return base.transaction === 'Hello' ? 'json' : form;
}

/**
 * Reads the message: size for its transaction, number of entries, tag, members (the order of encoding 6.6).
 *
 * @throws MeshError `too-large`, `malformed`, `unknown-transaction`, or `media-type` for a Hello that is not JSON
 */
export function decodeRequest(received: ReceivedRequest): OpenedRequest {
  const { base, payload, form } = received;
  if (base.transaction === 'Hello' && form !== 'json') throw new MeshError('media-type', 'Hello is always JSON');
  if (base.transaction !== undefined && payload.length > messageBytesMaxOf(base.transaction)) {
    throw new MeshError(
      'too-large',
      `a message of this transaction holds at most ${messageBytesMaxOf(base.transaction)} octets`,
    );
  }
  if (received.entries.length > signatureEntriesMax) {
    throw new MeshError('malformed', `more than ${signatureEntriesMax} signatures`);
  }
  if (base.transaction === undefined) throw unknownTransaction(payload, form);
  return refusing(() => {
    const decoded = decodeTagged(requestRegistry, payload, { form, refuseRepeated: !received.naked });
    return { received, request: { transaction: decoded.tag, message: decoded.value } as AnyRequest };
  });
}

/** A first member that names no transaction of ours is something else than a body that is no message at all. */
function unknownTransaction(payload: Uint8Array, form: BodyForm): MeshError {
  try {
    const reader = new TokenReader(payload, { binary: form === 'json-b' });
    reader.enterObject();
    if (reader.nextMember() !== undefined) return new MeshError('unknown-transaction', 'no such transaction');
  } catch (error) {
    return malformed(error);
  }
  return new MeshError('malformed', 'the message is empty');
}

/** Bound of a decoded message. Uploads are bounded by entries and payload octets, which the transaction counts. */
function messageBytesMaxOf(transaction: Transaction): number {
  if (transaction === 'Upload') return httpBodyBytesMax;
  if (transaction === 'StoreLarge') return largeRequestBytesMax;
  return transaction === 'Post' ? postDecodedBytesMax : messageDecodedBytesMax;
}

/**
 * Reads tag, `Service` and `ID` without judging the rest, which may be broken: an answer needs them before the message
 * was decoded, and also when it cannot be.
 */
function readBase(payload: Uint8Array, form: BodyForm): RequestBase {
  let transaction: Transaction | undefined;
  let service = '';
  let id: Uint8Array | undefined;
  try {
    const reader = new TokenReader(payload, { binary: form === 'json-b' });
    reader.enterObject();
    transaction = requestRegistry.entries.get(reader.nextMember() ?? '')?.tag as Transaction | undefined;
    reader.enterObject();
    for (let name = reader.nextMember(); name !== undefined; name = reader.nextMember()) {
      if (name === 'Service' && service === '') service = reader.string();
      else if (name === 'ID' && id === undefined) id = reader.binary();
      else if (service !== '' && id !== undefined) break;
      else reader.skip();
    }
  } catch {
    // What stands before the fault is enough; the fault itself is found again when the message is decoded.
  }
  const echo = id !== undefined && id.length <= echoedIdBytesMax ? id : undefined;
  return { transaction, service, id: id?.length === requestIdBytes ? id : undefined, echo };
}

/** Turns faults of the lower layers into the one that the requester is told. */
function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof MeshError ? error : malformed(error);
  }
}

function malformed(error: unknown): MeshError {
  if (!(error instanceof EncodingError) && !(error instanceof DareError)) throw error;
  return new MeshError('malformed', error.message, { cause: error });
}

/** The first octet that is not white space, a byte order mark passed over. */
function firstOctet(octets: Uint8Array): number | undefined {
  const start = octets[0] === 0xef && octets[1] === 0xbb && octets[2] === 0xbf ? 3 : 0;
  for (let at = start; at < octets.length; at += 1) {
    const octet = octets[at] as number;
    if (octet !== 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d) return octet;
  }
  return undefined;
}
