import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { encryptionKeyUdf } from '@meshd/crypto/udf';
import { writeEnvelope } from '@meshd/dare/envelope';
import { AccountCopy, type CopiedContainer, exportKeysOf } from '../account-copy.js';
import { sealAccountKeys } from '../account-keys.js';
import type { Device } from '../device.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { Replica } from '../replica.js';
import { completeFrames } from './download.js';
import { verifiedStores } from './stores.js';
import { synchronise } from './sync.js';

const exportKeyBytes = 32;

/** A finished copy. */
export interface ExportedAccount {
  /** `E…`: opens the keys that lie in the copy. Kept nowhere. */
  readonly key: string;
  readonly containers: readonly CopiedContainer[];
  /** Containers whose file was there already, as it is. */
  readonly unchangedCount: number;
}

/**
 * Copies the whole account into a folder: every catalog and spool that this device may read, brought up to date and verified,
 * frame by frame as it is, and the account's keys, sealed under a fresh key that is returned.
 *
 * The list of the copy is written last. Interrupted, or called again later with the same folder, only what differs is written.
 *
 * @throws ClientError `usage` for a folder with a copy of another account
 */
export async function exportAccount(device: Device, folder: string): Promise<ExportedAccount> {
  const { session } = device;
  const { keys, identity, state, environment, home } = session;
  const copy = new AccountCopy(folder);
  const before = await copy.list();
  if (before !== undefined && before.accountUdf !== identity.accountUdf) {
    throw new ClientError('usage', `${folder} holds a copy of ${before.address}; give another folder`);
  }
  await synchronise(device);
  const names = (await Replica.namesIn(home)).sort();
  const containers: CopiedContainer[] = [];
  let unchangedCount = 0;
  for (const name of names) {
    const replica = await device.replica(name);
    const { size, apex: digest, root } = replica.reader;
    if (size === 0 || digest === undefined) continue;
    await completeFrames(device, replica, 0, size - 1);
    if (!(await copy.writeContainer(replica))) unchangedCount += 1;
    containers.push({ container: name, frameCount: size, digest, root });
    await showProgress(environment, 'exporting', containers.length, names.length);
  }
  const key = encryptionKeyUdf(environment.random(exportKeyBytes));
  const { reader, signer } = exportKeysOf(key);
  const sealed = sealAccountKeys({
    ...{ accountUdf: identity.accountUdf, epochs: keys.epochs, keyBlind: keys.keyBlind },
    ...{ stores: await verifiedStores(device), readers: [signingKeyFromSeed(reader).publicKey] },
    ...{ signer, random: environment.random },
  });
  await copy.writeKeys(writeEnvelope(sealed));
  const { meshUdf, accountUdf } = identity;
  await copy.writeList({ address: state.address, accountUdf, meshUdf, exportedMs: environment.nowMs(), containers });
  return { key, containers, unchangedCount };
}
