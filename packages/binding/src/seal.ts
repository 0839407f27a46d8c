/**
 * Boxes that a service gives to others to keep and can open again without having kept anything (S31): tickets and page
 * keys. Authenticated encryption under a key that all routers of the service share, with a fresh key for every box.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { concat, label, lv } from '@meshd/crypto/digest';
import type { Random } from '@meshd/crypto/random';

/** What a box is for: one of another purpose does not open (S02). */
export type SealPurpose = 'mesh-seal-1' | 'mesh-page-1';

/** A key that seals. */
export interface SealKey {
  /** 8 octets, found in front of every box. */
  readonly keyId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
}

/** Octets of a key's name. */
export const sealKeyIdBytes = 8;
/** Octets of a key. */
export const sealKeyBytes = 32;

const boxVersion = 1;
const saltBytes = 32;
const headBytes = 1 + sealKeyIdBytes + saltBytes;
const nonceBytes = 12;
const tagBytes = 16;
const cipher = 'aes-256-gcm';
const labels: Readonly<Record<SealPurpose, Uint8Array>> = {
  'mesh-seal-1': label('mesh-seal-1'),
  'mesh-page-1': label('mesh-page-1'),
};

/** Key and nonce of one box: `okm` of S31. The salt makes them its own, so that routers need no common nonce count. */
function boxKey(purpose: SealPurpose, key: Uint8Array, salt: Uint8Array, serviceUdf: string) {
  const info = concat(labels[purpose], lv(serviceUdf));
  const okm = Buffer.from(hkdfSync('sha512', key, salt, info, sealKeyBytes + nonceBytes));
  return { key: okm.subarray(0, sealKeyBytes), nonce: okm.subarray(sealKeyBytes) };
}

/**
 * Seals octets.
 *
 * @param serviceUdf UDF of the ProfileService: a box of another provider does not open, whatever its key
 * @returns 01 || keyId || salt || ciphertext || tag
 */
export function sealBox(
  purpose: SealPurpose,
  sealKey: SealKey,
  serviceUdf: string,
  plain: Uint8Array,
  random: Random,
): Uint8Array {
  const salt = random(saltBytes);
  const head = concat(Uint8Array.of(boxVersion), sealKey.keyId, salt);
  const { key, nonce } = boxKey(purpose, sealKey.key, salt, serviceUdf);
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  sealing.setAAD(concat(labels[purpose], head));
  return concat(head, sealing.update(plain), sealing.final(), sealing.getAuthTag());
}

/**
 * Opens a box.
 *
 * @param keyOf finds the key by its name; undefined for one that was retired
 * @returns the octets; undefined for whatever is no box of ours
 */
export function openBox(
  purpose: SealPurpose,
  keyOf: (keyId: Uint8Array) => SealKey | undefined,
  serviceUdf: string,
  box: Uint8Array,
): Uint8Array | undefined {
  if (box.length < headBytes + tagBytes || box[0] !== boxVersion) return undefined;
  const head = box.subarray(0, headBytes);
  const sealKey = keyOf(head.subarray(1, 1 + sealKeyIdBytes));
  if (sealKey === undefined) return undefined;
  const { key, nonce } = boxKey(purpose, sealKey.key, head.subarray(1 + sealKeyIdBytes), serviceUdf);
  // Given in full: node would take a tag of four octets otherwise (F15).
  const opening = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  opening.setAAD(concat(labels[purpose], head));
  opening.setAuthTag(box.subarray(box.length - tagBytes));
  try {
    return concat(opening.update(box.subarray(headBytes, box.length - tagBytes)), opening.final());
  } catch {
    return undefined;
  }
}
