import { constantTimeEqual, sha256, sha512 } from '@meshd/crypto/digest';
import { decodeKind, decodeObject, encodeKind, encodeObject, type Form, object } from '@meshd/encoding/codec';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { TokenReader } from '@meshd/encoding/token-reader';
import {
  type EnvelopeOctets,
  envelope,
  envelopeBytes,
  envelopeBytesAtMost,
  isWithin,
  readEnvelopeArray,
  takeDecoded,
  takeText,
} from './envelope-octets.js';
import { DareError } from './errors.js';
import { ContentMeta, Header, type SignatureEntry, Trailer } from './header.js';

export { type EnvelopeOctets, envelope, envelopeBytes, envelopeBytesAtMost, isWithin };

/**
 * An envelope that was opened: header and trailer decoded and merged. Nothing of it is authenticated; that is what
 * `VerifiedEnvelope` of the module `verify` says.
 */
export interface DareEnvelope {
  readonly octets: EnvelopeOctets;
  readonly header: Header;
  /** Payload octets; null where the body was left out (redacted form, encoding 2.1). */
  readonly payload: Uint8Array | null;
  readonly trailer: Trailer;
  /** Of the trailer, or of the header where the trailer has none. */
  readonly signatures: readonly SignatureEntry[];
  /** As stated in trailer or header; `checkPayloadDigest` recomputes it. */
  readonly payloadDigest?: Uint8Array;
  /** Decoded `ContentMetaData`; absent if the header has none. */
  readonly contentMetaData?: ContentMeta;
  /** Octets of `ContentMetaData`, which cores cover; empty if the header has none. */
  readonly contentMetaDataOctets: Uint8Array;
}

/** What a header says by itself. */
export type OpenedHeader = Pick<DareEnvelope, 'header' | 'contentMetaDataOctets'>;

const nothing = new Uint8Array(0);
const emptyObject = new TextEncoder().encode('{}');

/** Payload digests by the identifiers of encoding 2.5; `SHA2` is what early writers called `S512`. */
const digests: Readonly<Record<string, (payload: Uint8Array) => Uint8Array>> = {
  S512: (payload) => sha512(payload),
  SHA2: (payload) => sha512(payload),
  S256: (payload) => sha256(payload),
};

/** Whether `dig` or `alg` names a digest that stored objects are signed by. */
export function isDigestIdentifier(identifier: string): boolean {
  return Object.hasOwn(digests, identifier);
}

/**
 * Digest of payload octets.
 *
 * @param identifier `dig` of the header; absent means `S512`.
 * @throws DareError `algorithm` for an identifier that is not known: the envelope cannot be verified.
 */
export function digestOf(payload: Uint8Array, identifier = 'S512'): Uint8Array {
  const digest = Object.hasOwn(digests, identifier) ? digests[identifier] : undefined;
  if (digest === undefined) throw new DareError('algorithm', 'unknown payload digest algorithm');
  return digest(payload);
}

/**
 * Decodes header and trailer and merges what may stand in either.
 *
 * @throws EncodingError if header, trailer or content metadata cannot be decoded; DareError `shape` if `PayloadDigest`
 * stands in both (encoding 2.2).
 */
export function openEnvelope(octets: EnvelopeOctets): DareEnvelope {
  const header = decodeObject(Header, octets.header, { form: 'json' });
  const trailer = octets.trailer === null ? {} : decodeObject(Trailer, octets.trailer, { form: 'json' });
  return opened(octets, header, trailer);
}

/**
 * Decodes the header alone, for those who know what stands in the trailer or need not know: most of a message's octets are
 * the credentials in there.
 *
 * @throws EncodingError if the header cannot be decoded.
 */
export function openHeader({ header: octets }: Pick<EnvelopeOctets, 'header'>): OpenedHeader {
  const header = decodeObject(Header, octets, { form: 'json' });
  return { header, contentMetaDataOctets: header.ContentMetaData ?? nothing };
}

const headerKind = object(Header);
const trailerKind = object(Trailer);

/**
 * Reads and opens one envelope in JSON, alone in its text: {@link readEnvelope} and {@link openEnvelope} in one pass over
 * the octets, for those who verify many.
 *
 * @throws as these two.
 */
export function readOpened(octets: Uint8Array): DareEnvelope {
  const reader = new TokenReader(octets);
  const { header, payload, trailer } = readEnvelopeArray(
    reader,
    (part) => takeText(part, octets, headerKind.read),
    (part) => takeText(part, octets, trailerKind.read),
  );
  reader.end();
  const texts = { header: header.text, payload, trailer: trailer?.text ?? null };
  return opened(texts, header.part, trailer?.part ?? {});
}

/** An envelope of which only the members count: nothing is stored or forwarded. */
export interface DecodedEnvelope {
  readonly header: Header;
  readonly payload: Uint8Array | null;
  readonly trailer: Trailer;
}

/**
 * Decodes an envelope in one pass, in either encoding; no part may have a member twice (S20). For messages, whose header
 * and trailer nobody keeps: turning those of JSON-B into text costs more than reading them.
 *
 * @throws EncodingError, DareError `shape`.
 */
export function decodeEnvelope(octets: Uint8Array, form: Form): DecodedEnvelope {
  const reader = new TokenReader(octets, { binary: form === 'json-b', refuseRepeated: true });
  const { header, payload, trailer } = readEnvelopeArray(
    reader,
    (part) => takeDecoded(part, headerKind.read),
    (part) => takeDecoded(part, trailerKind.read),
  );
  reader.end();
  return { header, payload, trailer: trailer ?? {} };
}

function opened(octets: EnvelopeOctets, header: Header, trailer: Trailer): DareEnvelope {
  if (header.PayloadDigest !== undefined && trailer.PayloadDigest !== undefined) {
    throw new DareError('shape', 'PayloadDigest stands in header and trailer');
  }
  const payloadDigest = trailer.PayloadDigest ?? header.PayloadDigest;
  const contentMetaDataOctets = header.ContentMetaData ?? nothing;
  const envelope: { -readonly [Member in keyof DareEnvelope]: DareEnvelope[Member] } = {
    octets,
    header,
    payload: payloadOf(octets, header, payloadDigest),
    trailer,
    // Entries in a header beside a trailer that has some are announcements of who will sign (encoding 2.2).
    signatures: trailer.signatures ?? header.signatures ?? [],
    contentMetaDataOctets,
  };
  if (payloadDigest !== undefined) envelope.payloadDigest = payloadDigest;
  if (header.ContentMetaData !== undefined) envelope.contentMetaData = readContentMeta(contentMetaDataOctets);
  return envelope;
}

function readContentMeta(octets: Uint8Array): ContentMeta {
  return octets.length === 0 ? {} : decodeObject(ContentMeta, octets, { form: 'json' });
}

/** An empty payload whose stated digest is that of something else was left out (encoding 2.1). */
function payloadOf(octets: EnvelopeOctets, header: Header, stated: Uint8Array | undefined): Uint8Array | null {
  const { payload } = octets;
  if (payload === null || payload.length > 0 || stated === undefined) return payload;
  if (!isDigestIdentifier(header.dig ?? 'S512')) return payload;
  return constantTimeEqual(digestOf(payload, header.dig), stated) ? payload : null;
}

/**
 * Recomputes the payload digest and compares it, in constant time, with the stated one if there is one.
 *
 * @returns the recomputed digest: 64 octets, or 32 under `dig` `S256`.
 * @throws DareError `payload-digest` on a mismatch, `redacted` without payload, `algorithm` for an unknown `dig`.
 */
export function checkPayloadDigest(opened: DareEnvelope): Uint8Array {
  if (opened.payload === null)
    throw new DareError('redacted', 'the payload was left out, its digest cannot be checked');
  const computed = digestOf(opened.payload, opened.header.dig);
  if (opened.payloadDigest !== undefined && !constantTimeEqual(computed, opened.payloadDigest)) {
    throw new DareError('payload-digest', 'PayloadDigest is not the digest of the payload');
  }
  return computed;
}

/** Makes an envelope from typed parts; absent trailer or payload null stay absent. */
export function makeEnvelope(parts: {
  readonly header: Header;
  readonly payload: Uint8Array | null;
  readonly trailer?: Trailer | undefined;
}): EnvelopeOctets {
  return {
    header: encodeObject(Header, parts.header, 'json'),
    payload: parts.payload,
    trailer: parts.trailer === undefined ? null : encodeObject(Trailer, parts.trailer, 'json'),
  };
}

/** Writes content metadata as the octets of `ContentMetaData`. */
export function writeContentMeta(meta: ContentMeta): Uint8Array {
  return encodeObject(ContentMeta, meta, 'json');
}

/**
 * Reads one envelope, alone in its text.
 *
 * @throws EncodingError for malformed JSON or JSON-B, DareError `shape` for an array that is no envelope.
 */
export function readEnvelope(octets: Uint8Array, form: Form = 'json'): EnvelopeOctets {
  return decodeKind(envelope, octets, { form });
}

/** Writes one envelope; a redacted one as a single element (encoding 2.1). */
export function writeEnvelope(octets: EnvelopeOctets, form: Form = 'json'): Uint8Array {
  return encodeKind(envelope, octets, form);
}

function partOf(octets: Uint8Array): JsonObject {
  return parseJson(octets) as JsonObject;
}

/**
 * The redacted form of an envelope: payload left out, the trailer's members in the header, the digest added if it was
 * not stated (encoding 3.6), all else kept, unknown members included.
 *
 * @throws DareError `payload-digest`, `algorithm` as {@link checkPayloadDigest}.
 */
export function redactEnvelope(octets: EnvelopeOctets): EnvelopeOctets {
  const opened = openEnvelope(octets);
  if (opened.payload === null) return octets;
  const digest = checkPayloadDigest(opened);
  const header = { ...partOf(octets.header), ...partOf(octets.trailer ?? emptyObject) };
  if (opened.payloadDigest === undefined) header.PayloadDigest = digest;
  return { header: writeJson(header), payload: null, trailer: null };
}

/**
 * The same envelope with another `ContainerInfo`, all other members of the header kept (encoding 3.9): how the service
 * files a received message.
 */
export function withContainerInfo(octets: EnvelopeOctets, info: JsonObject): EnvelopeOctets {
  return { ...octets, header: writeJson({ ...partOf(octets.header), ContainerInfo: info }) };
}

/** The same envelope without `ContainerInfo`: how the service sends a filed message on. */
export function withoutContainerInfo(octets: EnvelopeOctets): EnvelopeOctets {
  const { ContainerInfo: _, ...header } = partOf(octets.header);
  return { ...octets, header: writeJson(header) };
}

/** The same envelope with `PayloadDigest` in its trailer, if neither part stated it (encoding 3.9). */
export function withPayloadDigest(octets: EnvelopeOctets, digest: Uint8Array): EnvelopeOctets {
  if (openEnvelope(octets).payloadDigest !== undefined) return octets;
  const trailer = { ...partOf(octets.trailer ?? emptyObject), PayloadDigest: digest };
  return { ...octets, trailer: writeJson(trailer) };
}

/** Whether two envelopes carry the same octets in all three parts. */
export function sameEnvelope(left: EnvelopeOctets, right: EnvelopeOctets): boolean {
  const parts = (one: EnvelopeOctets) => [one.header, one.payload ?? nothing, one.trailer ?? nothing];
  const other = parts(right);
  return (
    (left.payload === null) === (right.payload === null) &&
    parts(left).every((part, at) => Buffer.compare(part, other[at] ?? nothing) === 0)
  );
}
