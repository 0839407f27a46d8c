import { concat, shake256 } from './digest.js';
import { importPublicKey, type PublicKeyEd448, type SigningKey, signingKeyOfScalar } from './ed448.js';
import { checkedPoint, ed448KeyBytes, ed448Order, expandSeed, publicPoint, reducedScalar } from './ed448-point.js';
import type { ScalarKey } from './ed448-scalar.js';
import { CryptoError } from './errors.js';
import { type Random, systemRandom } from './random.js';

const prefixLabel = Buffer.from('mesh-combined-1', 'ascii');

/** A combined private key as it is stored: scalar, nonce prefix, public key. The base seed is not needed afterwards. */
export type CombinedKey = ScalarKey;

/**
 * The public sum of a base and an overlay key (S13). Throws CryptoError `key-refused` when an operand or the sum does
 * not pass the import check.
 */
export function combinePublicKeys(base: Uint8Array, overlay: Uint8Array): PublicKeyEd448 {
  return importPublicKey(checkedPoint(base).add(checkedPoint(overlay)).toBytes());
}

/**
 * Combines the secret halves (S13): scalar b + o mod L, and a nonce prefix of both prefixes. A prefix of its own is
 * what keeps the base key safe: with that of the base key two overlays would sign with one nonce.
 *
 * `baseRaw` and `overlayRaw` are the public keys as announced: the result must be their sum. Throws CryptoError
 * `key-refused` when it is not, when it equals the base key, or when its UDF is not `expectedUdf`.
 */
export function combineSeeds(input: {
  readonly baseSeed: Uint8Array;
  readonly overlaySeed: Uint8Array;
  readonly baseRaw: Uint8Array;
  readonly overlayRaw: Uint8Array;
  readonly expectedUdf?: string;
}): CombinedKey {
  const base = expandSeed(input.baseSeed);
  const overlay = expandSeed(input.overlaySeed);
  const scalar = reducedScalar(base.scalar + overlay.scalar);
  const combined = publicPoint(scalar);
  const sum = combinePublicKeys(input.baseRaw, input.overlayRaw);
  const publicRaw = combined.toBytes();
  if (Buffer.compare(publicRaw, sum.raw) !== 0) {
    throw new CryptoError('key-refused', 'the private halves do not make the sum of the public ones');
  }
  if (Buffer.compare(publicRaw, input.baseRaw) === 0) {
    throw new CryptoError('key-refused', 'the combined key is the base key');
  }
  if (input.expectedUdf !== undefined && input.expectedUdf !== sum.udf) {
    throw new CryptoError('key-refused', 'the combined key has another UDF than announced');
  }
  const prefix = shake256(concat(prefixLabel, base.prefix, overlay.prefix), ed448KeyBytes);
  return { scalar, prefix, publicRaw };
}

/**
 * The signing key of a combined key. Every nonce takes 57 fresh octets from `random`, so that neither a repeated
 * prefix nor a computing fault repeats one (S13). Throws CryptoError `key-refused` for a scalar outside 1 … L − 1.
 */
export function combinedSigningKey(key: CombinedKey, random: Random = systemRandom): SigningKey {
  if (key.scalar <= 0n || key.scalar >= ed448Order) throw new CryptoError('key-refused', 'the scalar is out of range');
  return signingKeyOfScalar(key, () => random(ed448KeyBytes));
}
