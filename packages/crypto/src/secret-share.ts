import { checkPrimeSync } from 'node:crypto';
import { concat } from './digest.js';
import { CryptoError } from './errors.js';
import type { Random } from './random.js';
import { encryptionKeyUdf, parseUdf, presentUdf, udfType } from './udf.js';

/** x − 1 and the threshold stand in half an octet each; a threshold of one would hand the secret to every holder. */
const sharesMax = 16;
const quorumMin = 2;
const quorumMax = 15;
const secretBytesMax = 64;

interface Share {
  readonly quorum: number;
  readonly x: number;
  readonly y: bigint;
  readonly secretBytes: number;
}

const primes = new Map<number, bigint>();

/** Smallest prime above 2^(8·bytes). */
function modulusFor(secretBytes: number): bigint {
  let prime = primes.get(secretBytes);
  if (prime === undefined) {
    prime = (1n << BigInt(8 * secretBytes)) + 1n;
    while (!checkPrimeSync(prime)) prime += 2n;
    primes.set(secretBytes, prime);
  }
  return prime;
}

function toInteger(octets: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(octets).toString('hex') || '0'}`);
}

function toOctets(x: bigint, length: number): Uint8Array {
  return Buffer.from(x.toString(16).padStart(2 * length, '0'), 'hex');
}

/** Uniform below the modulus: 64 bits more than it has are drawn, so that the bias is not measurable. */
function randomBelow(modulus: bigint, secretBytes: number, random: Random): bigint {
  return toInteger(random(secretBytes + 8)) % modulus;
}

function valueAt(coefficients: readonly bigint[], x: bigint, modulus: bigint): bigint {
  return coefficients.reduceRight((sum, coefficient) => (sum * x + coefficient) % modulus, 0n);
}

/**
 * Splits the key of an E value into shares (S, encoding 1.11), any `quorum` of which recover it. Throws CryptoError
 * `share` for numbers outside 2 ≤ quorum ≤ 15, quorum ≤ shares ≤ 16, and `udf` for another type of value.
 */
export function splitSecret(secretUdf: string, shareCount: number, quorum: number, random: Random): string[] {
  const { typeId, data } = parseUdf(secretUdf);
  if (typeId !== udfType.encryptionKey) throw new CryptoError('udf', 'only encryption key UDFs (E…) are shared');
  if (data.length === 0 || data.length > secretBytesMax)
    throw new CryptoError('share', 'the secret is of no usable length');
  const inRange = Number.isInteger(quorum) && quorum >= quorumMin && quorum <= quorumMax;
  if (!inRange) throw new CryptoError('share', `the quorum is from ${quorumMin} to ${quorumMax}`);
  if (!Number.isInteger(shareCount) || shareCount < quorum || shareCount > sharesMax) {
    throw new CryptoError('share', `the number of shares is from the quorum to ${sharesMax}`);
  }
  const modulus = modulusFor(data.length);
  const limit = 1n << BigInt(8 * data.length);
  for (;;) {
    const coefficients = [toInteger(data)];
    while (coefficients.length < quorum) coefficients.push(randomBelow(modulus, data.length, random));
    const values = Array.from({ length: shareCount }, (_, i) => valueAt(coefficients, BigInt(i + 1), modulus));
    // A value of 2^L or more does not fit its octets. It is as rare as the prime is close: draw again.
    if (values.every((value) => value < limit)) {
      return values.map((value, i) => presentShare(quorum, i, toOctets(value, data.length)));
    }
  }
}

function presentShare(quorum: number, xLessOne: number, value: Uint8Array): string {
  return presentUdf(concat(Uint8Array.of(udfType.share, (quorum << 4) | xLessOne), value));
}

function parseShare(text: string): Share {
  const { typeId, data } = parseUdf(text);
  const [head] = data;
  if (typeId !== udfType.share || head === undefined) throw new CryptoError('share', 'this is no share (S…)');
  const secretBytes = data.length - 1;
  if (secretBytes === 0 || secretBytes > secretBytesMax)
    throw new CryptoError('share', 'the share is of no usable length');
  return { quorum: head >> 4, x: (head & 15) + 1, y: toInteger(data.subarray(1)), secretBytes };
}

function inverse(a: bigint, modulus: bigint): bigint {
  let [r0, r1] = [modulus, ((a % modulus) + modulus) % modulus];
  let [t0, t1] = [0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [t0, t1] = [t1, t0 - quotient * t1];
  }
  return ((t0 % modulus) + modulus) % modulus;
}

/** Value at `at` of the polynomial through the shares (Lagrange). */
function interpolate(shares: readonly Share[], at: bigint, modulus: bigint): bigint {
  let sum = 0n;
  for (const { x, y } of shares) {
    let upper = y;
    let lower = 1n;
    for (const other of shares) {
      if (other.x === x) continue;
      upper = (upper * (at - BigInt(other.x))) % modulus;
      lower = (lower * BigInt(x - other.x)) % modulus;
    }
    sum = (sum + upper * inverse(lower, modulus)) % modulus;
  }
  return ((sum % modulus) + modulus) % modulus;
}

/**
 * The E value that was split. More shares than the quorum are taken and must agree. Throws CryptoError `share` when
 * there are too few, one stands twice, or they do not belong together.
 */
export function recoverSecret(shareTexts: readonly string[]): string {
  const shares = shareTexts.map(parseShare);
  const [first] = shares;
  if (first === undefined || shares.length < Math.max(first.quorum, 1)) {
    throw new CryptoError('share', `too few shares${first ? `: ${first.quorum} are needed` : ''}`);
  }
  const { quorum, secretBytes } = first;
  const belong = shares.every((share) => share.quorum === quorum && share.secretBytes === secretBytes);
  if (quorum === 0 || !belong) throw new CryptoError('share', 'the shares do not belong together');
  if (new Set(shares.map(({ x }) => x)).size !== shares.length) throw new CryptoError('share', 'a share stands twice');
  const modulus = modulusFor(secretBytes);
  const used = shares.slice(0, quorum);
  for (const extra of shares.slice(quorum)) {
    if (interpolate(used, BigInt(extra.x), modulus) !== extra.y) {
      throw new CryptoError('share', 'the shares do not belong together');
    }
  }
  const secret = interpolate(used, 0n, modulus);
  if (secret >= 1n << BigInt(8 * secretBytes)) throw new CryptoError('share', 'the shares do not belong together');
  return encryptionKeyUdf(toOctets(secret, secretBytes));
}
