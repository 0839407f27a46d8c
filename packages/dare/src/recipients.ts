import { createPrivateKey, createPublicKey } from 'node:crypto';
import { concat } from '@meshd/crypto/digest';
import { agree } from '@meshd/crypto/ed448';
import { agreeEd25519, publicOfSeedEd25519 } from '@meshd/crypto/ed25519';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { unwrapKey, wrapKey } from '@meshd/crypto/key-wrap';
import type { Random } from '@meshd/crypto/random';
import { publicOfSeed } from '@meshd/crypto/raw-key';
import { canonicalName } from '@meshd/crypto/udf';
import { x448FromSeed } from '@meshd/crypto/x448';
import { recipientsMax } from '@meshd/limits/limits';
import { DareError } from './errors.js';
import type { Recipient } from './header.js';

/*
 * Recipient blocks (encoding 2.6): for each recipient an ephemeral key of its own, agreement on the recipient's curve,
 * and the one master key wrapped under what they agree on. Agreement on Ed448 follows S12.
 */

const noSalt = new Uint8Array(64);
const wrapInfo = 'master';
const kekSize = 32;
const seedSizes = { Ed448: 57, Ed25519: 32 } as const;

/** Curves whose keys may be encrypted to. Blocks for X448 are read, not written (encoding 2.6). */
export type RecipientCurve = keyof typeof seedSizes;

/** A key to encrypt to; every `PublicKeyEd448` is one. */
export interface RecipientKey {
  readonly udf: string;
  readonly raw: Uint8Array;
  /** Default Ed448; Ed25519 for peers of old. */
  readonly curve?: RecipientCurve;
}

/** A key to decrypt with: it is found by its UDF and agrees with the sender's ephemeral key. */
export interface DecryptionKey {
  readonly udf: string;
  readonly curve: string;
  /** Throws CryptoError for an ephemeral key that must not be used (S10, S12). */
  agree(ephemeralRaw: Uint8Array): Uint8Array;
  /** Keys that this one took the place of, newest first: what is encrypted to one of them opens too (S62). */
  readonly former?: readonly DecryptionKey[];
}

/**
 * The decryption key of a seed (56 or 57 octets on Ed448), for a key on one of the curves that are read.
 *
 * @throws CryptoError `key-refused` for a seed of a wrong length, DareError `algorithm` for another curve.
 */
export function decryptionKeyFromSeed(curve: string, seed: Uint8Array): DecryptionKey {
  if (curve === 'Ed448') {
    const udf = udfOfKey('Ed448', publicOfSeed('Ed448', seed));
    return { udf, curve, agree: (peer) => agree(seed, peer) };
  }
  if (curve === 'Ed25519') {
    const udf = udfOfKey('Ed25519', publicOfSeedEd25519(seed));
    return { udf, curve, agree: (peer) => agreeEd25519(seed, peer) };
  }
  if (curve === 'X448') {
    const key = x448FromSeed(seed);
    return { udf: udfOfKey('X448', key.publicRaw), curve, agree: (peer) => key.agree(peer) };
  }
  throw new DareError('algorithm', `nothing is decrypted with keys on ${curve}`);
}

/** The decryption key of a combined key, whose base seed is not at hand: bare scalar and UDF (S13). */
export function decryptionKeyFromScalar(scalar: bigint, udf: string): DecryptionKey {
  return { udf, curve: 'Ed448', agree: (peer) => agree(scalar, peer) };
}

/** Key that wraps the master key: HKDF-SHA-2-512 without salt over the agreed point. */
export function keyEncryptionKey(agreed: Uint8Array): Uint8Array {
  return hkdfExpand('sha512', hkdfExtract('sha512', noSalt, agreed), wrapInfo, kekSize);
}

const pkcs8Ed448 = Buffer.from('3047020100300506032b6571043b0439', 'hex');

/** Public half of a seed drawn a moment ago: no import check is due for a key that we made, and none is cached. */
function ephemeralPublic(curve: RecipientCurve, seed: Uint8Array): Uint8Array {
  if (curve === 'Ed25519') return publicOfSeedEd25519(seed);
  const key = createPrivateKey({ key: concat(pkcs8Ed448, seed) as Buffer, format: 'der', type: 'pkcs8' });
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x as string, 'base64url');
}

/**
 * Wraps the master key for one recipient.
 *
 * @throws CryptoError `key-refused`, `agreement-refused` for a recipient key that must not be used.
 */
export function wrapForRecipient(recipient: RecipientKey, masterKey: Uint8Array, random: Random): Recipient {
  const curve = recipient.curve ?? 'Ed448';
  const seed = random(seedSizes[curve]);
  const agreed = curve === 'Ed448' ? agree(seed, recipient.raw) : agreeEd25519(seed, recipient.raw);
  const Public = ephemeralPublic(curve, seed);
  seed.fill(0);
  return {
    kid: recipient.udf,
    epk: { PublicKeyECDH: { crv: curve, Public } },
    wmk: wrapKey(keyEncryptionKey(agreed), masterKey),
  };
}

/**
 * Finds the block for a key and unwraps the master key.
 *
 * @throws DareError `recipient` without such a block, `limit` for too many, `decrypt` if it does not unwrap; CryptoError
 * for an ephemeral key that must not be used.
 */
export function unwrapMasterKey(recipients: readonly Recipient[], key: DecryptionKey): Uint8Array {
  if (recipients.length > recipientsMax) throw new DareError('limit', 'too many recipients');
  const blockFor = ({ udf }: DecryptionKey) =>
    recipients.find(({ kid }) => kid !== undefined && canonicalName(kid) === udf);
  // Newest first: after a change of keys most is encrypted to the present one.
  const named = [key, ...(key.former ?? [])].find((each) => blockFor(each) !== undefined) ?? key;
  const block = blockFor(named);
  const ephemeral = block?.epk?.PublicKeyECDH;
  if (block?.wmk === undefined || ephemeral?.Public === undefined || ephemeral.crv !== named.curve) {
    throw new DareError('recipient', 'the envelope is not encrypted to this key');
  }
  try {
    return unwrapKey(keyEncryptionKey(named.agree(ephemeral.Public)), block.wmk);
  } catch (cause) {
    throw new DareError('decrypt', 'the master key does not unwrap', { cause });
  }
}
