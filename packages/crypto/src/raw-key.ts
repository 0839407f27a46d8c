import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type Curve, curveFacts } from './curves.js';
import { importPublicKey, signingKeyFromSeed } from './ed448.js';
import { checkedPointEd25519, publicOfSeedEd25519 } from './ed25519.js';
import { CryptoError } from './errors.js';
import { type Random, systemRandom } from './random.js';
import { checkX448, x448FromSeed } from './x448.js';

const x25519Bytes = 32;
const x25519PrivatePrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const x25519SpkiBytes = 12;
const x25519Prime = (1n << 255n) - 19n;

/**
 * u of the points of small order on Curve25519 and its twist (RFC 7748 section 6 lets implementations refuse them):
 * 0, 1, p − 1 and the two of order 8.
 */
const x25519SmallOrder = new Set([
  0n,
  1n,
  x25519Prime - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
]);

/** A fresh seed for a curve, of the length that we write. */
export function generateSeedOf(curve: Curve, random: Random = systemRandom): Uint8Array {
  return random(curveFacts[curve].seedBytes);
}

/** Raw public key of a seed, for any curve. Throws CryptoError `key-refused` for a seed of a wrong length. */
export function publicOfSeed(curve: Curve, seed: Uint8Array): Uint8Array {
  if (curve === 'Ed448') return signingKeyFromSeed(seed).publicKey.raw;
  if (curve === 'Ed25519') return publicOfSeedEd25519(seed);
  if (curve === 'X448') return x448FromSeed(seed).publicRaw;
  return publicOfSeedX25519(seed);
}

/** Throws CryptoError with the reason unless the raw key may be used: S10 for Ed448, the like for the others. */
export function checkRawKey(curve: Curve, raw: Uint8Array): void {
  if (curve === 'Ed448') importPublicKey(raw);
  else if (curve === 'Ed25519') checkedPointEd25519(raw);
  else if (curve === 'X448') checkX448(raw);
  else checkX25519(raw);
}

function publicOfSeedX25519(seed: Uint8Array): Uint8Array {
  if (seed.length !== x25519Bytes) {
    throw new CryptoError('key-refused', `an X25519 private key has ${x25519Bytes} octets, not ${seed.length}`);
  }
  const key = createPrivateKey({ key: Buffer.concat([x25519PrivatePrefix, seed]), format: 'der', type: 'pkcs8' });
  return Uint8Array.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(x25519SpkiBytes));
}

function checkX25519(raw: Uint8Array): void {
  if (raw.length !== x25519Bytes) {
    throw new CryptoError('key-refused', `an X25519 key has ${x25519Bytes} octets, not ${raw.length}`);
  }
  const u = BigInt(`0x${Buffer.from(raw).reverse().toString('hex')}`);
  if (u >= x25519Prime) throw new CryptoError('key-refused', 'the key is not below the field prime');
  if (x25519SmallOrder.has(u)) throw new CryptoError('key-refused', 'the key is of small order');
}
