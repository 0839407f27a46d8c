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

/** 1 − d of the curve x² + y² = 1 + d·x²·y², d = −39081. */
const oneMinusD = 39082n;
const inverseOfOneMinusD = Point.Fp.inv(oneMinusD);
const squareRootExponent = (fieldPrime + 1n) / 4n;

/** Jacobi symbol of `a` over an odd `n`: 1 for squares of the field, −1 for others, 0 for 0. Eight times as fast as a power. */
export function jacobiSymbol(a: bigint, n: bigint): number {
  let upper = a % n;
  let lower = n;
  let sign = 1;
  while (upper !== 0n) {
    let twos = 0;
    while ((upper & 0xffffn) === 0n) {
      upper >>= 16n;
      twos += 16;
    }
    const low = Number(upper & 0xffffn);
    const shift = 31 - Math.clz32(low & -low);
    upper >>= BigInt(shift);
    const lowerMod8 = Number(lower & 7n);
    if ((twos + shift) % 2 === 1 && (lowerMod8 === 3 || lowerMod8 === 5)) sign = -sign;
    if ((upper & 3n) === 3n && lowerMod8 % 4 === 3) sign = -sign;
    [upper, lower] = [lower % upper, upper];
  }
  return lower === 1n ? sign : 0;
}

/**
 * Whether [L]P is the identity, for a point with x and y not 0, by two residue tests instead of 446 doublings.
 *
 * The group is cyclic of order 4·L, so prime order means divisible by 4, and that descends along the 2-isogeny: in
 * Montgomery form B·v² = u³ + A·u² + u with B = 4 ÷ (1 − d), u = (1 + y) ÷ (1 − y), the point has a preimage exactly if
 * B·u is a square, and the preimage lies in the right half of its group (three points of order 2, at 0, B·(A − 2) and
 * B·(A + 2)) exactly if its abscissa less B·(A − 2) is a square, −d being a square. Cleared of denominators and of
 * square factors, with c = 1 − d: t² = (1 − y²) ÷ c has a root, and c·(1 − y)·x·(x + t) is a square. Which root is
 * taken does not matter: the two preimages differ by the point at 0, which both tests send to a square.
 */
function isOfPrimeOrder(x: bigint, y: bigint): boolean {
  const { Fp } = Point;
  const square = Fp.mul(Fp.sub(1n, Fp.sqr(y)), inverseOfOneMinusD);
  const root = Fp.pow(square, squareRootExponent);
  if (Fp.sqr(root) !== square) return false;
  const product = Fp.mul(Fp.mul(oneMinusD, Fp.sub(1n, y)), Fp.mul(x, Fp.add(x, root)));
  return jacobiSymbol(product, fieldPrime) === 1;
}

/**
 * The import check of S10 in full: decoded canonically, not of small order, of prime order. Decided here alone,
 * because OpenSSL of Node 20 and 24 takes every point, and Node 20 then verifies forgeries under those of small order.
 */
export function checkedPoint(raw: Uint8Array): EdwardsPoint {
  const point = decodedPoint(raw);
  const { x, y } = point;
  // The four points of small order are those on the axes.
  if (x === 0n || y === 0n) throw refused('the point is of small order');
  if (!isOfPrimeOrder(x, y)) throw refused('the point is not of prime order');
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
