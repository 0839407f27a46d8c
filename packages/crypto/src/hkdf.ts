import { createHmac } from 'node:crypto';
import { CryptoError } from './errors.js';

/** Digests that HKDF is used with: SHA-2-512 for wrapping keys, SHA-2-256 for content keys (encoding 2.6, 2.7). */
export type HkdfHash = 'sha256' | 'sha512';

const digestBytes: Record<HkdfHash, number> = { sha256: 32, sha512: 64 };

/** HKDF-Extract of RFC 5869. An empty salt stands for a digest length of zeros, as the RFC says. */
export function hkdfExtract(hash: HkdfHash, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  // HMAC pads a short key with zeros: the empty salt and the salt of zeros are one key.
  return createHmac(hash, salt).update(ikm).digest();
}

/**
 * HKDF-Expand of RFC 5869: `length` octets. node:crypto has only extract and expand together, while the Mesh derives
 * several values from one extracted key. `info` as a string stands for its UTF-8.
 * Throws CryptoError `length` above 255 digests.
 */
export function hkdfExpand(hash: HkdfHash, prk: Uint8Array, info: Uint8Array | string, length: number): Uint8Array {
  const size = digestBytes[hash];
  const count = Math.ceil(length / size);
  if (!Number.isInteger(length) || length < 0 || count > 255) {
    throw new CryptoError('length', `HKDF gives 0 to ${255 * size} octets`);
  }
  const blocks: Buffer[] = [];
  let previous: Uint8Array = new Uint8Array(0);
  for (let i = 1; i <= count; i++) {
    const block = createHmac(hash, prk).update(previous).update(info).update(Uint8Array.of(i)).digest();
    blocks.push(block);
    previous = block;
  }
  return Buffer.concat(blocks).subarray(0, length);
}
