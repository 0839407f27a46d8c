import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import type { Random } from '@meshd/crypto/random';
import { encryptionKeyUdf, parseUdf, udfType } from '@meshd/crypto/udf';
import { ClientError } from './errors.js';

/*
 * The master seed: 32 octets from which follow all keys of a Mesh and an account that must outlive every device. Whoever has it
 * is the Mesh; it can be split into shares (encoding 1.11), any quorum of which gives it back.
 */

/** Keys that follow from the master seed. */
export const masterNames = ['meshOffline', 'meshEncryption', 'accountOffline', 'accountOnline'] as const;
export type MasterName = (typeof masterNames)[number];

const masterBytes = 32;
/** Octets of a raw Ed448 seed. */
const seedBytes = 57;
const salt = Buffer.from('mesh-master-1', 'ascii');

/** Draws a master seed. */
export function drawMaster(random: Random): Uint8Array {
  return random(masterBytes);
}

/**
 * The private seed of one key: HKDF-SHA-2-512 with salt `mesh-master-1` and the name of the key. `escrow` is the key that the
 * account's reading keys are encrypted to besides (`ProfileMesh.KeysMasterEscrow`).
 */
export function seedOfMaster(master: Uint8Array, name: MasterName | 'escrow'): Uint8Array {
  return hkdfExpand('sha512', hkdfExtract('sha512', salt, master), name, seedBytes);
}

/** The master seed as the value that is split into shares (`E…`). */
export function masterText(master: Uint8Array): string {
  return encryptionKeyUdf(master);
}

/** Reads it back. @throws ClientError `usage` for a value that is none */
export function masterOfText(text: string): Uint8Array {
  const { typeId, data } = parseUdf(text);
  if (typeId === udfType.encryptionKey && data.length === masterBytes) return data;
  throw new ClientError('usage', 'these shares are of something else than a master seed; see mesh account escrow');
}
