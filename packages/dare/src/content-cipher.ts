import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat } from '@meshd/crypto/digest';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import { DareError } from './errors.js';

/*
 * The content cipher of encoding 2.7 and S60: keys derived from master key and salt with HKDF-SHA-256.
 * A fresh master key and salt for every envelope is what makes the derived GCM nonce safe.
 */

const tagSize = 16;
const gcmNonceSize = 12;
const blockSize = 16;

/** Content encryptions that are read; `A256GCM` alone is written, but for contacts marked as not knowing it (S60). */
export type ContentCipher = 'A256GCM' | 'A256CBC';

/** Secrets of one envelope, or of one annotation of it. */
export interface ContentKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  /** Pseudo-random key that witnesses are expanded from. */
  readonly extracted: Uint8Array;
}

/** Sizes of S60: shorter plain texts are padded in steps of 256 octets, those of 4 KiB and more in steps of 1,024. */
const padStepSmall = 256;
const padStepLarge = 1024;
const padLargeFrom = 4096;

/** Derives the content keys (encoding 2.7). */
export function contentKeys(masterKey: Uint8Array, salt: Uint8Array): ContentKeys {
  const extracted = hkdfExtract('sha256', salt, masterKey);
  return {
    key: hkdfExpand('sha256', extracted, 'encrypt', 32),
    iv: hkdfExpand('sha256', extracted, 'iv', 16),
    extracted,
  };
}

/** Witness of a signature (encoding 2.9): proves that the signer knew the master key. 32 octets. */
export function witnessOf(keys: ContentKeys, signature: Uint8Array): Uint8Array {
  return hkdfExpand('sha256', keys.extracted, signature, 32);
}

/**
 * The cipher named by `enc`.
 *
 * @throws DareError `algorithm` for one that is not read here.
 */
export function cipherOf(identifier: string | undefined): ContentCipher {
  if (identifier === 'A256GCM' || identifier === 'A256CBC') return identifier;
  throw new DareError('algorithm', 'unknown content encryption');
}

/** Pads JSON text with spaces, so that its length tells little (S60). Already padded text stays as long as it is. */
export function padJson(plain: Uint8Array): Uint8Array {
  const step = plain.length >= padLargeFrom ? padStepLarge : padStepSmall;
  const padded = new Uint8Array(Math.ceil(plain.length / step) * step).fill(0x20);
  padded.set(plain);
  return padded;
}

/** Encrypts; GCM appends its 16-octet tag. */
export function encryptContent(cipher: ContentCipher, keys: ContentKeys, plain: Uint8Array): Uint8Array {
  if (cipher === 'A256CBC') {
    const cbc = createCipheriv('aes-256-cbc', keys.key, keys.iv);
    return concat(cbc.update(plain), cbc.final());
  }
  const gcm = createCipheriv('aes-256-gcm', keys.key, keys.iv.subarray(0, gcmNonceSize), { authTagLength: tagSize });
  return concat(gcm.update(plain), gcm.final(), gcm.getAuthTag());
}

/**
 * Decrypts. Whether it may is for the caller to know (S60): CBC tells nothing about changes.
 *
 * @throws DareError `decrypt` for a wrong key, changed octets or an impossible length; the reasons look alike.
 */
export function decryptContent(cipher: ContentCipher, keys: ContentKeys, sealed: Uint8Array): Uint8Array {
  try {
    return cipher === 'A256GCM' ? openGcm(keys, sealed) : openCbc(keys, sealed);
  } catch (cause) {
    throw new DareError('decrypt', 'the content does not decrypt', { cause });
  }
}

function openGcm(keys: ContentKeys, sealed: Uint8Array): Uint8Array {
  if (sealed.length < tagSize) throw new RangeError('shorter than its tag');
  const body = sealed.subarray(0, sealed.length - tagSize);
  // Without authTagLength node takes tags of 4 octets.
  const gcm = createDecipheriv('aes-256-gcm', keys.key, keys.iv.subarray(0, gcmNonceSize), { authTagLength: tagSize });
  gcm.setAuthTag(sealed.subarray(sealed.length - tagSize));
  return concat(gcm.update(body), gcm.final());
}

function openCbc(keys: ContentKeys, sealed: Uint8Array): Uint8Array {
  if (sealed.length === 0 || sealed.length % blockSize !== 0) throw new RangeError('no whole number of blocks');
  const cbc = createDecipheriv('aes-256-cbc', keys.key, keys.iv);
  return concat(cbc.update(sealed), cbc.final());
}
