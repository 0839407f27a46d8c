import { ed448 } from '@noble/curves/ed448.js';
import { shake256 } from './digest.js';
import { CryptoError } from './errors.js';

const { Point } = ed448;

/** A point of edwards448 as noble keeps it; never leaves this package. */
export type EdwardsPoint = InstanceType<typeof Point>;

/** Octets of a raw key and of an encoded scalar. */
export const ed448KeyBytes = 57;
/** Order of the base point. */
export const ed448Order = Point.Fn.ORDER;
const fieldPrime = Point.Fp.ORDER;
const cofactor = 4n;

/** Little-endian octets as an integer. */
export function integerOfOctets(octets: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(octets).reverse().toString('hex') || '0'}`);
}

/** An integer as `length` little-endian octets; the integer is known to fit. */
export function octetsOfInteger(x: bigint, length: number): Uint8Array {
  return Buffer.from(x.toString(16).padStart(length * 2, '0'), 'hex').reverse();
}

function refused(reason: string): CryptoError {
  return new CryptoError('key-refused', reason);
}

/**
 * Decodes a point as RFC 8032 5.2.3 demands and OpenSSL does not: exact length, canonical y, on the curve, no signed
 * zero. The order is not looked at: see {@link checkedPoint}. Throws CryptoError `key-refused` with the reason.
 */
export function decodedPoint(raw: Uint8Array): EdwardsPoint {
  if (raw.length !== ed448KeyBytes) throw refused(`an Ed448 key has ${ed448KeyBytes} octets, not ${raw.length}`);
  const signOctet = raw[ed448KeyBytes - 1] as number;
  if ((signOctet & 0x7f) !== 0) throw refused('the low bits of the last octet are set');
  const y = integerOfOctets(raw.subarray(0, ed448KeyBytes - 1));
  if (y >= fieldPrime) throw refused('y is not below the field prime');
  // x = 0 belongs to y = 1 and y = -1 alone, and zero has no other sign.
  if (signOctet !== 0 && (y === 1n || y === fieldPrime - 1n)) throw refused('x is zero and its sign bit set');
  try {
    return Point.fromBytes(raw);
  } catch (cause) {
    throw new CryptoError('key-refused', 'the point is not on the curve', { cause });
  }
}

/**
 * The import check of S10 in full: decoded canonically, not of small order, of prime order. Decided here alone,
 * because OpenSSL of Node 20 and 24 takes every point, and Node 20 then verifies forgeries under those of small order.
 */
export function checkedPoint(raw: Uint8Array): EdwardsPoint {
  const point = decodedPoint(raw);
  if (point.isSmallOrder()) throw refused('the point is of small order');
  if (!point.isTorsionFree()) throw refused('the point is not of prime order');
  return point;
}

/** The halves of a hashed seed (RFC 8032 5.2.5): clamped scalar, not reduced, and nonce prefix. */
export interface ExpandedSeed {
  readonly scalar: bigint;
  readonly prefix: Uint8Array;
}

/**
 * Hashes a seed by hand. A seed has 57 octets, or 56 where the reference implementation drew it (encoding 1.6); native
 * and noble interfaces refuse the latter. Throws CryptoError `key-refused` for other lengths.
 */
export function expandSeed(seed: Uint8Array): ExpandedSeed {
  if (seed.length !== ed448KeyBytes && seed.length !== ed448KeyBytes - 1) {
    throw refused(`an Ed448 seed has 57 or 56 octets, not ${seed.length}`);
  }
  const hashed = shake256(seed, 2 * ed448KeyBytes);
  const clamped = hashed.slice(0, ed448KeyBytes);
  clamped[0] = (clamped[0] as number) & 0xfc;
  clamped[ed448KeyBytes - 1] = 0;
  clamped[ed448KeyBytes - 2] = (clamped[ed448KeyBytes - 2] as number) | 0x80;
  return { scalar: integerOfOctets(clamped), prefix: hashed.subarray(ed448KeyBytes) };
}

/** A scalar reduced mod L; a clamped one is larger than L. */
export function reducedScalar(scalar: bigint): bigint {
  return scalar % ed448Order;
}

/** scalar × base point. Throws CryptoError `key-refused` for a multiple of the order. */
export function publicPoint(scalar: bigint): EdwardsPoint {
  const reduced = reducedScalar(scalar);
  if (reduced === 0n) throw refused('the scalar is zero');
  return Point.BASE.multiply(reduced);
}

const inverseOfCofactor = Point.Fn.inv(cofactor);

/**
 * Agreement of S12 on a point that was decoded: Q = 4·P, then (4⁻¹·c mod L)·Q, encoded. Any component of small
 * order vanishes, also for scalars reduced mod L, so that nothing of the scalar leaks and all programs agree.
 * Not constant in time: for clients with their own keys, never for a service process.
 * Throws CryptoError `agreement-refused` when Q is the identity.
 */
export function agreeOnPoint(scalar: bigint, peer: EdwardsPoint): Uint8Array {
  const cleared = peer.clearCofactor();
  if (cleared.is0()) throw new CryptoError('agreement-refused', 'the peer key is of small order');
  const factor = (inverseOfCofactor * reducedScalar(scalar)) % ed448Order;
  if (factor === 0n) throw new CryptoError('agreement-refused', 'the scalar is zero');
  return cleared.multiply(factor).toBytes();
}
