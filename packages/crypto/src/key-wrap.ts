import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CryptoError } from './errors.js';

const initialValue = Buffer.alloc(8, 0xa6);
const kekBytes = 32;
const keyBytesMin = 16;

/** AES-256 key wrap of RFC 3394 with the default initial value: 8 octets longer than `key`. Throws CryptoError `length`. */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Uint8Array {
  checkKek(kek);
  if (key.length < keyBytesMin || key.length % 8 !== 0) {
    throw new CryptoError('length', 'key wrap takes 16 octets or more, a multiple of 8');
  }
  const cipher = createCipheriv('id-aes256-wrap', kek, initialValue);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** The inverse of {@link wrapKey}. Throws CryptoError `unwrap` for a wrong key, changed octets or an impossible length. */
export function unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Uint8Array {
  checkKek(kek);
  if (wrapped.length < keyBytesMin + 8 || wrapped.length % 8 !== 0) {
    throw new CryptoError('unwrap', 'a wrapped key has 24 octets or more, a multiple of 8');
  }
  try {
    const decipher = createDecipheriv('id-aes256-wrap', kek, initialValue);
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch (cause) {
    throw new CryptoError('unwrap', 'the wrapped key does not open with this key', { cause });
  }
}

function checkKek(kek: Uint8Array): void {
  if (kek.length !== kekBytes) throw new CryptoError('length', 'the wrapping key has 32 octets');
}
