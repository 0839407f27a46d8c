import type { SigningKey } from '@meshd/crypto/ed448';
import { digestOf, type EnvelopeOctets, makeEnvelope, writeContentMeta } from './envelope.js';
import { DareError } from './errors.js';
import type { ContentMeta, Header, SignatureEntry } from './header.js';

/** Members of a signature entry that travel beside the proof, which they are not part of (S02). */
export type EntryMembers = Pick<SignatureEntry, 'Manifest' | 'Profile' | 'Connection' | 'Account'>;

/** What to put into a signed envelope. */
export interface SignOptions {
  /** The octets under signature, never empty (S03). */
  readonly payload: Uint8Array;
  /** Signers, first entry first. */
  readonly keys: readonly SigningKey[];
  /** Further members of the entries, by the position of their key. */
  readonly entryMembers?: readonly EntryMembers[];
  readonly contentMeta?: ContentMeta;
  /** `cty` of the content metadata. */
  readonly contentType?: string;
  /** Further header members, `ContainerInfo` for instance. */
  readonly header?: Header;
}

/**
 * One `S512` signature entry over a payload digest.
 *
 * @param payload the digested octets; given so that nothing empty is ever signed (S03).
 * @throws DareError `empty-payload`.
 */
export function signatureEntry(key: SigningKey, payload: Uint8Array, members: EntryMembers = {}): SignatureEntry {
  if (payload.length === 0) throw new DareError('empty-payload', 'an empty payload is never signed');
  return { alg: 'S512', kid: key.publicKey.udf, signature: key.sign(digestOf(payload)), ...members };
}

/** Header members that every envelope of ours begins with: digest algorithm and, if there is any, metadata. */
export function headerWith(header: Header, contentMeta: ContentMeta | undefined, contentType?: string): Header {
  const meta = contentType === undefined ? contentMeta : { ...contentMeta, cty: contentType };
  return { dig: 'S512', ...header, ...(meta === undefined ? {} : { ContentMetaData: writeContentMeta(meta) }) };
}

/**
 * Makes an envelope signed by one or more keys: Ed448 over the SHA-2-512 digest of the payload (encoding 2.5).
 *
 * @throws DareError `empty-payload` (S03), `signature` without keys.
 */
export function signEnvelope(options: SignOptions): EnvelopeOctets {
  const { payload, keys, entryMembers = [] } = options;
  if (keys.length === 0) throw new DareError('signature', 'a signed envelope needs a key');
  const signatures = keys.map((key, at) => signatureEntry(key, payload, entryMembers[at]));
  return makeEnvelope({
    header: headerWith(options.header ?? {}, options.contentMeta, options.contentType),
    payload,
    trailer: { signatures, PayloadDigest: digestOf(payload) },
  });
}
