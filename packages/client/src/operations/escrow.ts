import { recoverSecret, splitSecret } from '@meshd/crypto/secret-share';
import { verifyProfile } from '@meshd/schema/profile-check';
import type { Device } from '../device.js';
import type { DeviceKeys } from '../device-keys.js';
import { ClientError } from '../errors.js';
import { escrowKey } from '../identity.js';
import { masterText } from '../master.js';

/** How the master seed is split. */
export interface EscrowOptions {
  /** 2 to 16. */
  readonly shareCount: number;
  /** So many shares give it back: 2 to 15. */
  readonly quorum: number;
}

/**
 * Splits the master seed into shares (encoding 1.11), any quorum of which gives back the Mesh, the account and all that was ever
 * written in it. Nothing is sent and nothing is kept: the shares are for people to keep. Each time there are other shares; those
 * of two runs do not go together, and earlier ones stay good.
 *
 * @throws ClientError `usage` on a device without the master seed, CryptoError `share` for numbers that do not go
 */
export async function splitMaster(device: Device, { shareCount, quorum }: EscrowOptions): Promise<string[]> {
  const { keys, identity, environment } = device.session;
  const master = requireMaster(keys);
  const { profile } = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const { udf } = escrowKey(master).publicKey;
  if (!(profile.KeysMasterEscrow ?? []).some((key) => key.UDF === udf)) {
    throw new ClientError('state', 'the profile of this Mesh names another escrow key; shares would give back no data');
  }
  const shares = splitSecret(masterText(master), shareCount, quorum, environment.random);
  // Before anybody relies on them.
  if (recoverSecret(shares.slice(-quorum)) === masterText(master)) return shares;
  throw new ClientError('state', 'the shares do not give back the master seed; do not use them');
}

function requireMaster({ master }: DeviceKeys): Uint8Array {
  if (master !== undefined) return master;
  throw new ClientError(
    'usage',
    'this device does not have the master seed: use the first device of the account, or bring the shares: mesh account recover SHARE…',
  );
}

/**
 * Takes the master seed out of this device: whoever steals it then is shut out for good by another administrator. What this
 * device does every day goes on; making administrators takes the shares.
 *
 * @throws ClientError `usage` where there is none
 */
export async function removeMaster(device: Device): Promise<void> {
  const { session } = device;
  requireMaster(session.keys);
  await session.rekey(session.keys.changed({ master: undefined, removed: ['meshOffline'] }));
}
