import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { deviceCatalog } from '@meshd/schema/container-name';
import { onlineKeysOf, publicKeyOf, verifyProfile } from '@meshd/schema/profile-check';
import { administrationSecrets, epochsOf, mergedEpochs, openAccountKeys } from '../account-keys.js';
import type { Device } from '../device.js';
import type { DeviceKeys } from '../device-keys.js';
import { decodeDeviceEntry } from '../entitlement.js';
import { ClientError } from '../errors.js';
import type { Session } from '../session.js';

/**
 * Takes from this device's own entry what an administrator has put there since: a newer profile of the account, its keys, and
 * what administering takes (S62). Does nothing where it was taken before.
 *
 * @throws ClientError `profile` for what does not hold
 */
export async function adoptAccountKeys(device: Device): Promise<void> {
  const { session } = device;
  const catalog = await device.replica(deviceCatalog);
  const own = catalog.reader.replay?.items.get(session.identity.deviceUdf);
  if (own === undefined || own.current <= session.keys.takenFrom) return;
  const deviceEntry = await catalog.envelope(own.current);
  if (deviceEntry.payload === null) return;
  await device.renew({ deviceEntry });
  const { accountUdf } = session.identity;
  const account = decodeDeviceEntry(deviceEntry.payload).Accounts?.find(
    ({ AccountUDF: udf }) => udf !== undefined && udfEquals(udf, accountUdf),
  );
  const given = account?.EnvelopedActivationKeys;
  const keys = given === undefined ? session.keys : await withAccountKeys(session, given);
  await session.rekey(keys.changed({ takenFrom: own.current }));
}

async function withAccountKeys({ keys, identity }: Session, given: EnvelopeOctets): Promise<DeviceKeys> {
  try {
    const { profile } = await verifyProfile(identity.profileAccount, 'ProfileAccount');
    const activation = await openAccountKeys(given, onlineKeysOf(profile), keys.decryption('connectionEncryption'));
    if (Buffer.compare(activation.KeyBlind ?? new Uint8Array(0), keys.keyBlind) !== 0) {
      throw new Error('it names the items of the account otherwise');
    }
    const epochs = mergedEpochs(keys.epochs, epochsOf(activation.KeysEncryption));
    const { Administration: members } = activation;
    const changed = keys.changed({
      epochs,
      ...(members === undefined ? {} : { secrets: administrationSecrets(members), administers: true }),
    });
    const { udf } = publicKeyOf(profile.KeyEncryption ?? {});
    if (changed.key('accountEncryption').publicKey.udf === udf) return changed;
    throw new Error('its newest key is not the one that the profile of the account names');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new ClientError('profile', `the account's keys in this device's entry are refused: ${why}`, { cause });
  }
}

/**
 * Makes sure that this device writes under a key that nobody has who was shut out (S62).
 *
 * @throws ClientError `stale-key` where a device was shut out and the new key has not come here yet
 */
export async function requireCurrentKey(device: Device): Promise<void> {
  await adoptAccountKeys(device);
  const { shutOutMs } = await device.cataloged();
  if ((device.session.keys.epochs[0]?.sinceMs ?? 0) >= shutOutMs) return;
  throw new ClientError(
    'stale-key',
    'a device of this account was shut out, and this one has not got the new key of the account; run mesh account sync, and if that does not help, on an administration device: mesh account rotate',
  );
}
