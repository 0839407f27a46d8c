import { type Curve, curveFacts } from './curves.js';
import { u32 } from './digest.js';
import { CryptoError } from './errors.js';
import { hkdfExpand, hkdfExtract } from './hkdf.js';
import { parseUdf, udfType } from './udf.js';

/** Shorter seeds would make keys that can be searched for. */
const seedBytesMin = 16;
const algorithmMask = 0x3fff;

/**
 * The private seed that a key pair seed (Z, encoding 1.10) gives for a curve: 56 octets for Ed448, as the reference
 * draws them. Throws CryptoError `udf` for another type, a seed under 128 bits, or one made for another algorithm.
 */
export function deriveKeySeed(seedUdf: string, curve: Curve): Uint8Array {
  const { typeId, data } = parseUdf(seedUdf);
  if (typeId !== udfType.keySeed) throw new CryptoError('udf', 'a key pair is derived from a seed UDF (Z…)');
  if (data.length < 2 + seedBytesMin) throw new CryptoError('udf', `a seed has at least ${seedBytesMin} octets`);
  const { seedAlgorithm, derivedBytes } = curveFacts[curve];
  const algorithm = (((data[0] as number) << 8) | (data[1] as number)) & algorithmMask;
  if (algorithm !== 0 && algorithm !== seedAlgorithm) {
    throw new CryptoError('udf', `the seed is made for another algorithm than ${curve}`);
  }
  const salt = u32(seedAlgorithm).subarray(2);
  return hkdfExpand('sha512', hkdfExtract('sha512', salt, data), '', derivedBytes);
}
