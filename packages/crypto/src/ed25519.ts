import { ed25519 } from '@noble/curves/ed25519.js';
import { concat, sha512 } from './digest.js';
import { integerOfOctets } from './ed448-point.js';
import { CryptoError } from './errors.js';

const { Point } = ed25519;
type EdwardsPoint = InstanceType<typeof Point>;

const keyBytes = 32;
const order = Point.Fn.ORDER;
/** dom2 of RFC 8032 with flag 0 and an empty context: what the reference signs with (encoding 2.5). */
const dom2 = Buffer.from('SigEd25519 no Ed25519 collisions\0\0', 'latin1');

/** The same check for Ed25519 as S10 demands of Ed448. Throws CryptoError `key-refused`. */
export function checkedPointEd25519(raw: Uint8Array): EdwardsPoint {
  if (raw.length !== keyBytes) throw refused(`an Ed25519 key has ${keyBytes} octets, not ${raw.length}`);
  let point: EdwardsPoint;
  try {
    point = Point.fromBytes(raw);
  } catch (cause) {
    throw new CryptoError('key-refused', 'the octets are no canonical point of the curve', { cause });
  }
  if (point.isSmallOrder()) throw refused('the point is of small order');
  if (!point.isTorsionFree()) throw refused('the point is not of prime order');
  return point;
}

/** Public key of a seed of 32 octets. */
export function publicOfSeedEd25519(seed: Uint8Array): Uint8Array {
  if (seed.length !== keyBytes) throw refused(`an Ed25519 seed has ${keyBytes} octets, not ${seed.length}`);
  return ed25519.getPublicKey(seed);
}

/**
 * Agreement on Ed25519 for reading what the reference implementation encrypted: clamped scalar × point, in the
 * Edwards encoding. We write nothing of this kind. Throws CryptoError `key-refused`.
 */
export function agreeEd25519(seed: Uint8Array, peerRaw: Uint8Array): Uint8Array {
  if (seed.length !== keyBytes) throw refused(`an Ed25519 seed has ${keyBytes} octets, not ${seed.length}`);
  const clamped = sha512(seed).slice(0, keyBytes);
  clamped[0] = (clamped[0] as number) & 0xf8;
  clamped[31] = ((clamped[31] as number) & 0x7f) | 0x40;
  // The point is of prime order, so that the scalar may be reduced.
  return checkedPointEd25519(peerRaw)
    .multiply(integerOfOctets(clamped) % order)
    .toBytes();
}

/**
 * Verifies the one Ed25519 form that the reference writes: the contextual prefix with an empty context, which libraries
 * of RFC 8032 refuse to make. Never throws for a malformed signature; throws CryptoError `key-refused` for a bad key.
 */
export function verifyContextualEd25519(raw: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const publicKey = checkedPointEd25519(raw);
  if (signature.length !== 2 * keyBytes) return false;
  const response = integerOfOctets(signature.subarray(keyBytes));
  if (response >= order) return false;
  let commitment: EdwardsPoint;
  try {
    commitment = Point.fromBytes(signature.subarray(0, keyBytes));
  } catch {
    return false;
  }
  const challenge = integerOfOctets(sha512(concat(dom2, signature.subarray(0, keyBytes), raw, message))) % order;
  const expected = commitment.add(publicKey.multiplyUnsafe(challenge));
  return Point.BASE.multiplyUnsafe(response).subtract(expected).clearCofactor().is0();
}

function refused(reason: string): CryptoError {
  return new CryptoError('key-refused', reason);
}
