import { concat } from '@meshd/crypto/digest';
import { TokenReader } from '@meshd/encoding/token-reader';
import { TokenWriter } from '@meshd/encoding/token-writer';
import { type ContentCipher, contentKeys, decryptContent, encryptContent } from './content-cipher.js';
import { DareError } from './errors.js';

/*
 * Encoded data sequences (encoding 2.8): two or three binary items of JSON-B one after another. Annotations stand in
 * the unsigned header: no decision may rest on one (S40).
 */

const gcmTagSize = 16;

/** One encoded data sequence: salt prefix, body (plain or encrypted) and authentication tag, empty if there is none. */
export interface DataSequence {
  readonly saltPrefix: Uint8Array;
  readonly body: Uint8Array;
  readonly tag: Uint8Array;
}

/**
 * Reads an encoded data sequence.
 *
 * @throws EncodingError for octets that are no binary items, DareError `shape` for octets left over.
 */
export function readDataSequence(octets: Uint8Array): DataSequence {
  const items: Uint8Array[] = [];
  let rest = octets;
  while (rest.length > 0 && items.length < 3) {
    const reader = new TokenReader(rest, { binary: true });
    items.push(reader.binary());
    rest = rest.subarray(reader.offset);
  }
  const [saltPrefix, body, tag = new Uint8Array(0)] = items;
  if (saltPrefix === undefined || body === undefined || rest.length > 0) {
    throw new DareError('shape', 'an encoded data sequence has two or three items');
  }
  return { saltPrefix, body, tag };
}

/** Writes all three items; writers of 2020 left an empty tag out. */
export function writeDataSequence(sequence: DataSequence): Uint8Array {
  const writer = new TokenWriter('json-b');
  for (const item of [sequence.saltPrefix, sequence.body, sequence.tag]) writer.binary(item);
  return writer.finish();
}

/** Salt prefix of the n-th sequence of an envelope, from 1: little-endian, minimal length. */
export function saltPrefix(ordinal: number): Uint8Array {
  const octets: number[] = [];
  for (let rest = ordinal; rest > 0; rest = Math.floor(rest / 256)) octets.push(rest % 256);
  return Uint8Array.from(octets);
}

/** A plain annotation. */
export function plainAnnotation(body: Uint8Array, ordinal: number): Uint8Array {
  return writeDataSequence({ saltPrefix: saltPrefix(ordinal), body, tag: new Uint8Array(0) });
}

/** An annotation under the envelope's master key; the prefix goes before the envelope's salt. */
export function sealAnnotation(
  cipher: ContentCipher,
  secret: { readonly masterKey: Uint8Array; readonly salt: Uint8Array },
  body: Uint8Array,
  ordinal: number,
): Uint8Array {
  const prefix = saltPrefix(ordinal);
  const sealed = encryptContent(cipher, contentKeys(secret.masterKey, concat(prefix, secret.salt)), body);
  const cut = cipher === 'A256GCM' ? sealed.length - gcmTagSize : sealed.length;
  return writeDataSequence({ saltPrefix: prefix, body: sealed.subarray(0, cut), tag: sealed.subarray(cut) });
}

/**
 * Opens an annotation.
 *
 * @throws as {@link readDataSequence}; DareError `decrypt`.
 */
export function openAnnotation(
  cipher: ContentCipher,
  secret: { readonly masterKey: Uint8Array; readonly salt: Uint8Array },
  octets: Uint8Array,
): Uint8Array {
  const { saltPrefix: prefix, body, tag } = readDataSequence(octets);
  const keys = contentKeys(secret.masterKey, concat(prefix, secret.salt));
  return decryptContent(cipher, keys, concat(body, tag));
}
