import { canonicalBase32, decodeBase32, presentBase32 } from '@meshd/encoding/base32';
import { EncodingError } from '@meshd/encoding/errors';
import { udfCharactersMax } from '@meshd/limits/limits';
import { concat, hmacSha512, sha3_512, sha512 } from './digest.js';
import { CryptoError } from './errors.js';
import { hkdfExpand, hkdfExtract } from './hkdf.js';
import type { Random } from './random.js';

/** Type octets of the UDF kinds (encoding 1.1). The digests have four more each, for compression levels 1 to 4. */
export const udfType = {
  authenticator: 0,
  encryptionKey: 32,
  sha3Digest: 80,
  sha2Digest: 96,
  nonce: 104,
  oid: 112,
  share: 144,
  keySeed: 200,
} as const;

/** Digest function of a content digest, used for the inner and the outer step alike. */
export type UdfAlgorithm = 'sha2-512' | 'sha3-512';

const precisionBitsDefault = 140;
const precisionBitsMin = 100;
const nonceBitsDefault = 132;
const earlBits = 280;
const earlContentType = 'application/udf-encryption';
const matchCharactersMin = precisionBitsMin / 5;

/** What a UDF text says. `data` is whole octets: bits left over in the last character are in `canonical` alone. */
export interface ParsedUdf {
  readonly typeId: number;
  readonly data: Uint8Array;
  /** Upper case, a dash after every four characters: the form to compare and to keep. */
  readonly canonical: string;
}

/** Type octet and data as UDF text; `bits`, when given, counts the type octet and cuts the rest. */
export function presentUdf(octets: Uint8Array, bits = octets.length * 8): string {
  return presentBase32(octets, bits);
}

/**
 * Reads any UDF text: case and dashes are free, other characters, fewer than two and absurd lengths throw
 * CryptoError `udf`. Whether the type means anything is the caller's question.
 */
export function parseUdf(text: string): ParsedUdf {
  if (text.length > udfCharactersMax) throw new CryptoError('udf', 'the UDF is too long');
  try {
    const canonical = canonicalBase32(text);
    const octets = decodeBase32(canonical);
    const [typeId] = octets;
    if (typeId === undefined) throw new CryptoError('udf', 'a UDF has at least two characters');
    return { typeId, data: octets.subarray(1), canonical };
  } catch (cause) {
    if (cause instanceof EncodingError) throw new CryptoError('udf', 'a UDF is Base32 text in groups', { cause });
    throw cause;
  }
}

/** Whether two texts name the same thing: canonical texts are compared, left-over bits included (encoding 1.2). */
export function udfEquals(a: string, b: string): boolean {
  return parseUdf(a).canonical === parseUdf(b).canonical;
}

/**
 * A name from outside as it is compared with the names of keys: canonical (encoding 1.2), or just as it stands where it
 * is no UDF, which equals the name of no key.
 */
export function canonicalName(text: string): string {
  try {
    return parseUdf(text).canonical;
  } catch (error) {
    if (error instanceof CryptoError) return text;
    throw error;
  }
}

/**
 * Whether a content digest or key fingerprint matches another of higher or equal precision: a prefix with at least
 * 100 bits. For showing and searching only; decisions about access require {@link udfEquals}.
 */
export function udfMatches(shorter: string, longer: string): boolean {
  const a = parseUdf(shorter).canonical;
  const b = parseUdf(longer).canonical;
  if (a === b) return true;
  const isDigest = a.startsWith('M') || a.startsWith('K');
  return isDigest && a.replaceAll('-', '').length >= matchCharactersMin && b.startsWith(a);
}

/** Number of zero bits at the end of the octets, least significant bit of the last octet first. */
function trailingZeroBits(octets: Uint8Array): number {
  let bits = 0;
  for (let i = octets.length - 1; i >= 0; i--) {
    const octet = octets[i] as number;
    if (octet !== 0) return bits + 31 - Math.clz32(octet & -octet);
    bits += 8;
  }
  return bits;
}

function compressionLevel(typed: Uint8Array): number {
  const zeros = trailingZeroBits(typed);
  return zeros < 20 ? 0 : Math.min(4, Math.floor(zeros / 10) - 1);
}

/** Precisions go in steps of four characters, so that a value of lower precision is a prefix made of whole groups. */
function checkPrecision(bits: number, bitsMax: number): void {
  if (!Number.isInteger(bits) || bits % 20 !== 0 || bits < precisionBitsMin || bits > bitsMax) {
    throw new CryptoError('udf', `the precision is a multiple of 20 from ${precisionBitsMin} to ${bitsMax} bits`);
  }
}

/** What a content digest is made of when the data is digested already. */
export interface InnerDigest {
  /** Digest of the data by the same function as `algorithm`. */
  readonly inner: Uint8Array;
  /** Media type of the data, part of what is digested. */
  readonly contentType: string;
  /** Precision in bits, type octet included; 140 unless told. */
  readonly bits?: number;
  readonly algorithm?: UdfAlgorithm;
}

/** Type octet (with compression level) and the 64 octets of the typed digest, in full (encoding 1.4). */
export function contentDigestOctets({ inner, contentType, algorithm = 'sha2-512' }: InnerDigest): Uint8Array {
  const isSha2 = algorithm === 'sha2-512';
  const text = Buffer.from(`${contentType}:`, 'utf8');
  const typed = isSha2 ? sha512(text, inner) : sha3_512(text, inner);
  const base = isSha2 ? udfType.sha2Digest : udfType.sha3Digest;
  return concat(Uint8Array.of(base + compressionLevel(typed)), typed);
}

/** Content digest of data whose inner digest is known. Throws CryptoError `udf` for an impossible precision. */
export function contentDigestOfInner(input: InnerDigest): string {
  const bits = input.bits ?? precisionBitsDefault;
  checkPrecision(bits, 520);
  return presentUdf(contentDigestOctets(input), bits);
}

/** Content digest UDF (K or M) of data (encoding 1.4). Throws CryptoError `udf` for an impossible precision. */
export function contentDigestUdf(input: {
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly bits?: number;
  readonly algorithm?: UdfAlgorithm;
}): string {
  const { data, ...rest } = input;
  return contentDigestOfInner({ ...rest, inner: rest.algorithm === 'sha3-512' ? sha3_512(data) : sha512(data) });
}

/**
 * The two keys of an authenticator (encoding 1.8): extracted and expanded. The key is the text exactly as written,
 * dashes and case included.
 */
export function authenticatorKey(keyText: string): { readonly prk: Uint8Array; readonly macKey: Uint8Array } {
  const prk = hkdfExtract('sha512', Buffer.from('KeyedUDFMaster', 'ascii'), Buffer.from(keyText, 'utf8'));
  return { prk, macKey: hkdfExpand('sha512', prk, 'KeyedUDFExpand', 64) };
}

/** Authenticator UDF (A): a content digest that only who knows the key text can make or check. Never compressed. */
export function authenticatorUdf(input: {
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly keyText: string;
  readonly bits?: number;
}): string {
  const bits = input.bits ?? precisionBitsDefault;
  checkPrecision(bits, 520);
  const { macKey } = authenticatorKey(input.keyText);
  const mac = hmacSha512(macKey, Buffer.from(`${input.contentType}:`, 'utf8'), sha512(input.data));
  return presentUdf(concat(Uint8Array.of(udfType.authenticator), mac), bits);
}

/**
 * A fresh nonce (N), as message identifiers and PINs are: `bits` random bits without the type octet, 132 unless told.
 * Throws CryptoError `udf` below 80 bits, the length of a PIN.
 */
export function nonceUdf(random: Random, bits = nonceBitsDefault): string {
  if (!Number.isInteger(bits) || bits < 80 || bits > 512) throw new CryptoError('udf', 'a nonce has 80 to 512 bits');
  const octets = random(Math.ceil(bits / 8));
  return presentUdf(concat(Uint8Array.of(udfType.nonce), octets), bits + 8);
}

/** Key of an EARL or of other symmetric use (E). We issue keys of 16 and 32 octets; others are read and printed. */
export function encryptionKeyUdf(key: Uint8Array): string {
  if (key.length < 16 || key.length > 64) throw new CryptoError('udf', 'an encryption key has 16 to 64 octets');
  return presentUdf(concat(Uint8Array.of(udfType.encryptionKey), key));
}

/** Address part of an EARL (encoding 1.9): digest of the key's text, dashes included. Throws unless the UDF is of type E. */
export function earlIdentifier(keyUdf: string): string {
  const { typeId, canonical } = parseUdf(keyUdf);
  if (typeId !== udfType.encryptionKey) throw new CryptoError('udf', 'an EARL is made from an encryption key UDF (E…)');
  return contentDigestUdf({ data: Buffer.from(canonical, 'ascii'), contentType: earlContentType, bits: earlBits });
}

/** Where the ciphertext of an EARL is fetched. `domain` is taken as given: callers pass a canonical one. */
export function earlUrl(keyUdf: string, domain: string): string {
  return `https://${domain}/.well-known/mmm-udf/${earlIdentifier(keyUdf)}`;
}
