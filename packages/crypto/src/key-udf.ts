import { type Curve, curveFacts } from './curves.js';
import { sha512 } from './digest.js';
import { CryptoError } from './errors.js';
import { contentDigestOctets, presentUdf, udfType } from './udf.js';

export type { Curve } from './curves.js';

const keyInfoContentType = 'application/x509-keyinfo';
const fingerprintBytes = 64;
const keyUdfBits = 140;

/**
 * The key info block that a key's UDF digests (encoding 1.5). Not a standard SubjectPublicKeyInfo: the algorithm
 * carries an explicit NULL and the key stands in an OCTET STRING inside the BIT STRING.
 * Throws CryptoError `key-refused` when the raw key has not the curve's length.
 */
export function keyInfoDer(curve: Curve, raw: Uint8Array): Uint8Array {
  const { publicBytes: n, oidArc } = curveFacts[curve];
  if (raw.length !== n) throw new CryptoError('key-refused', `an ${curve} key has ${n} octets, not ${raw.length}`);
  const algorithm = [0x30, 0x07, 0x06, 0x03, 0x2b, 0x65, oidArc, 0x05, 0x00];
  return Buffer.from([0x30, n + 14, ...algorithm, 0x03, n + 3, 0x00, 0x04, n, ...raw]);
}

/** fp64: the 64-octet fingerprint of a key, type octet and 63 octets of digest (security rules, notation). */
export function fingerprint64(curve: Curve, raw: Uint8Array): Uint8Array {
  const inner = sha512(keyInfoDer(curve, raw));
  return contentDigestOctets({ inner, contentType: keyInfoContentType }).subarray(0, fingerprintBytes);
}

/** The UDF of a key, 140 bits, as `kid` and `UDF` members carry it. It finds a candidate; identity is the raw key (S04). */
export function udfOfKey(curve: Curve, raw: Uint8Array): string {
  return udfOfFingerprint(fingerprint64(curve, raw));
}

/** The 140-bit UDF text that begins a 64-octet fingerprint. */
export function udfOfFingerprint(fingerprint: Uint8Array): string {
  return presentUdf(fingerprint, keyUdfBits);
}

/** The key itself as a UDF of type O: the key info block in full. */
export function oidUdf(curve: Curve, raw: Uint8Array): string {
  return presentUdf(Buffer.concat([Uint8Array.of(udfType.oid), keyInfoDer(curve, raw)]));
}
