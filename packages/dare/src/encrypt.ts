import { sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { sealAnnotation } from './annotations.js';
import { type ContentCipher, contentKeys, encryptContent, padJson, witnessOf } from './content-cipher.js';
import { type EnvelopeOctets, makeEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import type { ContentMeta, Header, SignatureEntry } from './header.js';
import { type RecipientKey, wrapForRecipient } from './recipients.js';
import { type EntryMembers, headerWith, signatureEntry } from './sign.js';

const masterKeySize = 32;
const saltSize = 16;

/** What is encrypted, and to whom. */
export interface EncryptOptions {
  readonly plain: Uint8Array;
  /** At least one; each gets the same master key. */
  readonly recipients: readonly RecipientKey[];
  readonly random: Random;
  /** The plain text is JSON and is padded with spaces (S60). */
  readonly pad: boolean;
  /** Default `A256GCM`; CBC only for a contact marked as not knowing GCM. */
  readonly cipher?: ContentCipher;
  /** Bodies of annotations, encrypted under the same master key. */
  readonly annotations?: readonly Uint8Array[];
}

/** Encrypted content before it becomes a frame or an envelope. */
export interface EncryptedContent {
  /** `enc`, `Salt`, `recipients`, `Annotations`. */
  readonly header: Header;
  readonly payload: Uint8Array;
  /** The witness that a signature over this payload must carry (encoding 2.9). */
  witness(signature: Uint8Array): Uint8Array;
}

/**
 * Encrypts under a fresh master key and salt (S60), so that key and nonce never repeat.
 *
 * @throws DareError `recipient` without recipients; CryptoError for a recipient key that must not be used.
 */
export function encryptContentTo(options: EncryptOptions): EncryptedContent {
  const { recipients, random, cipher = 'A256GCM' } = options;
  if (recipients.length === 0) throw new DareError('recipient', 'nobody could decrypt an envelope without recipients');
  const masterKey = random(masterKeySize);
  const salt = random(saltSize);
  const keys = contentKeys(masterKey, salt);
  const annotations = (options.annotations ?? []).map((body, at) =>
    sealAnnotation(cipher, { masterKey, salt }, body, at + 1),
  );
  const header: Header = {
    enc: cipher,
    Salt: salt,
    Annotations: annotations,
    recipients: recipients.map((recipient) => wrapForRecipient(recipient, masterKey, random)),
  };
  const payload = encryptContent(cipher, keys, options.pad ? padJson(options.plain) : options.plain);
  masterKey.fill(0);
  return { header, payload, witness: (signature) => witnessOf(keys, signature) };
}

/** An encrypted envelope, signed or not. */
export interface EncryptEnvelopeOptions extends EncryptOptions {
  readonly contentMeta?: ContentMeta;
  /** `cty` of the content metadata. */
  readonly contentType?: string;
  /** Signers over the ciphertext; each entry gets its witness (S61). */
  readonly keys?: readonly SigningKey[];
  readonly entryMembers?: readonly EntryMembers[];
  /** Further header members. */
  readonly header?: Header;
}

function witnessedEntries(content: EncryptedContent, options: EncryptEnvelopeOptions): SignatureEntry[] {
  return (options.keys ?? []).map((key, at) => {
    const entry = signatureEntry(key, content.payload, options.entryMembers?.[at]);
    return { ...entry, witness: content.witness(entry.signature as Uint8Array) };
  });
}

/**
 * Encrypts, digests, signs and witnesses, in this order (S61).
 *
 * @throws as {@link encryptContentTo}.
 */
export function encryptEnvelope(options: EncryptEnvelopeOptions): EnvelopeOctets {
  const content = encryptContentTo(options);
  const header = headerWith({ ...options.header, ...content.header }, options.contentMeta, options.contentType);
  const trailer = { signatures: witnessedEntries(content, options), PayloadDigest: sha512(content.payload) };
  return makeEnvelope({ header, payload: content.payload, trailer });
}

/** What is encrypted under a key that both ends have. */
export interface MasterKeyOptions extends Pick<EncryptOptions, 'plain' | 'random' | 'pad'> {
  /** At least 128 bits. Salt is fresh for each envelope, so that key and nonce never repeat (S60). */
  readonly masterKey: Uint8Array;
  /** `cty` of the content metadata. */
  readonly contentType?: string;
}

/** An envelope without recipients, unsigned, in GCM: who has the key knows that it was made with the key (encoding 1.9). */
export function encryptWithMasterKey({ plain, random, pad, masterKey, contentType }: MasterKeyOptions): EnvelopeOctets {
  const salt = random(saltSize);
  const cipher = 'A256GCM';
  const payload = encryptContent(cipher, contentKeys(masterKey, salt), pad ? padJson(plain) : plain);
  return makeEnvelope({ header: headerWith({ enc: cipher, Salt: salt }, undefined, contentType), payload });
}
