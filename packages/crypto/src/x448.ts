import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { CryptoError } from './errors.js';
import { type Random, systemRandom } from './random.js';

const keyBytes = 56;
const spkiPrefix = Buffer.from('3042300506032b656f033900', 'hex');
const pkcs8Prefix = Buffer.from('3046020100300506032b656f043a0438', 'hex');
/** 2^448 − 2^224 − 1 */
const fieldPrime = (1n << 448n) - (1n << 224n) - 1n;

/** An X448 key pair. The private half stays inside the key object. */
export interface X448Key {
  /** 56 octets of RFC 7748. */
  readonly publicRaw: Uint8Array;
  /** The shared secret with a peer's raw key, 56 octets. Throws CryptoError `agreement-refused`. */
  agree(peerRaw: Uint8Array): Uint8Array;
}

/** The key pair of a private key of 56 octets. Throws CryptoError `key-refused` for another length. */
export function x448FromSeed(seed: Uint8Array): X448Key {
  if (seed.length !== keyBytes) throw new CryptoError('key-refused', `an X448 private key has ${keyBytes} octets`);
  const der = Buffer.concat([pkcs8Prefix, seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    publicRaw: Uint8Array.from(spki.subarray(spkiPrefix.length)),
    agree: (peerRaw) => agree(privateKey, peerRaw),
  };
}

/** A fresh key pair, for one exchange. */
export function generateX448(random: Random = systemRandom): X448Key {
  return x448FromSeed(random(keyBytes));
}

/**
 * A raw X448 key as native object. Refused besides a wrong length: encodings of p and above, which RFC 7748 would
 * reduce, and 0, 1 and p − 1, whose multiples are all of small order. Throws CryptoError `agreement-refused`.
 */
function importPeer(raw: Uint8Array): KeyObject {
  if (raw.length !== keyBytes) throw refused(`an X448 key has ${keyBytes} octets, not ${raw.length}`);
  const u = BigInt(`0x${Buffer.from(raw).reverse().toString('hex')}`);
  if (u >= fieldPrime) throw refused('the key is not below the field prime');
  if (u <= 1n || u === fieldPrime - 1n) throw refused('the key is of small order');
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'X448', x }, format: 'jwk' });
}

function agree(privateKey: KeyObject, peerRaw: Uint8Array): Uint8Array {
  const publicKey = importPeer(peerRaw);
  let shared: Uint8Array;
  try {
    shared = diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new CryptoError('agreement-refused', 'the agreement gave nothing', { cause });
  }
  // OpenSSL refuses the all-zero result itself; S12 does not rest on it.
  if (shared.every((octet) => octet === 0)) throw refused('the shared secret is zero');
  return shared;
}

/** Throws CryptoError `agreement-refused` unless the octets are a usable X448 public key. */
export function checkX448(raw: Uint8Array): void {
  importPeer(raw);
}

function refused(reason: string): CryptoError {
  return new CryptoError('agreement-refused', reason);
}
