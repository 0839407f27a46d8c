import { constantTimeEqual } from '@meshd/crypto/digest';
import { openAnnotation } from './annotations.js';
import {
  type ContentCipher,
  type ContentKeys,
  cipherOf,
  contentKeys,
  decryptContent,
  witnessOf,
} from './content-cipher.js';
import type { DareEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import { type DecryptionKey, unwrapMasterKey } from './recipients.js';
import { isStoredObjectSignature, isVerified } from './verify.js';

/**
 * What vouches for the ciphertext before it is decrypted (S61).
 *
 * - `signature`: the envelope came out of `verifyEnvelope`; checked again here.
 * - `manifest`: the frame or message was accepted by its manifest; the caller says so.
 * - `none`: nothing does; accepted in GCM alone, and only where the security rules name the object (S60).
 */
export type Proof = 'signature' | 'manifest' | 'none';

/** Exceptions to S60, off by default. */
export interface DecryptOptions {
  /** Decrypt CBC although nothing vouches for it: for a person who opens a file of his own by hand. */
  readonly allowUnprovenCbc?: boolean;
}

/** The plain text and what came with it. */
export interface Decrypted {
  readonly plain: Uint8Array;
  /**
   * Bodies of the annotations, decrypted when asked for: they are advisory (S40), and a damaged one must not keep the
   * body from its reader. Throws DareError `decrypt`, `shape`, EncodingError.
   */
  annotations(): readonly Uint8Array[];
}

/** Whether the envelope's payload is encrypted. */
export function isEncrypted(opened: DareEnvelope): boolean {
  return opened.header.enc !== undefined && opened.header.enc !== 'none';
}

function expectProof(opened: DareEnvelope, cipher: ContentCipher, proof: Proof, options: DecryptOptions): void {
  if (proof === 'signature' && !isVerified(opened)) {
    throw new DareError('signature', 'the signature was not verified: nothing is decrypted');
  }
  if (proof === 'none' && cipher === 'A256CBC' && !options.allowUnprovenCbc) {
    throw new DareError('decrypt', 'CBC that nothing vouches for is not decrypted');
  }
}

/** Every signature on encrypted data names its master key; under `none` signatures count for nothing, nor do these. */
function checkWitnesses(opened: DareEnvelope, keys: ContentKeys, proof: Proof): void {
  if (proof === 'none') return;
  for (const entry of opened.signatures.filter(isStoredObjectSignature)) {
    const expected = witnessOf(keys, entry.signature as Uint8Array);
    if (entry.witness === undefined || !constantTimeEqual(entry.witness, expected)) {
      throw new DareError('witness', 'the signer did not prove to know the master key');
    }
  }
}

/**
 * Decrypts in the order of S61: proof, unwrapping, witness, cipher. The caller then checks `Sender`, `Recipient` and
 * the tag of the body.
 *
 * @throws DareError `signature` or `decrypt` before any decryption if the proof does not do, `recipient`, `witness`,
 * `algorithm`, `redacted`, `shape` for an envelope that is not encrypted or has no salt; CryptoError for an ephemeral key
 * that must not be used.
 */
export function decryptEnvelope(
  opened: DareEnvelope,
  key: DecryptionKey,
  proof: Proof,
  options: DecryptOptions = {},
): Decrypted {
  const { header, payload } = opened;
  if (!isEncrypted(opened)) throw new DareError('shape', 'the envelope is not encrypted');
  const cipher = cipherOf(header.enc);
  expectProof(opened, cipher, proof, options);
  if (payload === null) throw new DareError('redacted', 'the encrypted payload was left out');
  if (header.Salt === undefined) throw new DareError('shape', 'an encrypted envelope has a Salt');
  const secret = { masterKey: unwrapMasterKey(header.recipients ?? [], key), salt: header.Salt };
  return openWith(opened, cipher, secret, proof);
}

/**
 * Decrypts under a master key that needs no recipient block: an EARL key (encoding 1.9).
 *
 * @throws as {@link decryptEnvelope}.
 */
export function decryptWithMasterKey(
  opened: DareEnvelope,
  masterKey: Uint8Array,
  proof: Proof,
  options: DecryptOptions = {},
): Decrypted {
  const cipher = cipherOf(opened.header.enc);
  expectProof(opened, cipher, proof, options);
  if (opened.header.Salt === undefined) throw new DareError('shape', 'an encrypted envelope has a Salt');
  return openWith(opened, cipher, { masterKey, salt: opened.header.Salt }, proof);
}

function openWith(
  opened: DareEnvelope,
  cipher: ContentCipher,
  secret: { readonly masterKey: Uint8Array; readonly salt: Uint8Array },
  proof: Proof,
): Decrypted {
  if (opened.payload === null) throw new DareError('redacted', 'the encrypted payload was left out');
  const keys = contentKeys(secret.masterKey, secret.salt);
  checkWitnesses(opened, keys, proof);
  const plain = decryptContent(cipher, keys, opened.payload);
  const annotations = () => (opened.header.Annotations ?? []).map((octets) => openAnnotation(cipher, secret, octets));
  return { plain, annotations };
}
