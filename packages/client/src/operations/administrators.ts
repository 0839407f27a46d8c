import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { encodeTagged } from '@meshd/encoding/codec';
import { onlineKeysMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import { publicKeyOf, verifyConnection, verifyConnectionAccount, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileMesh } from '@meshd/schema/profiles';
import { administrationMembers, sealAccountKeys } from '../account-keys.js';
import type { Device } from '../device.js';
import { type DeviceEntry, deviceEntries, partOf, updateDraft, withPart } from '../device-entries.js';
import { ClientError } from '../errors.js';
import { publicMember, signed } from '../identity.js';
import { bindProfiles, finishBinding } from './bind-profiles.js';
import { changeDevices } from './change-devices.js';
import { deviceNamed, type ListedDevice, listDevices } from './device-list.js';
import { syncAccount } from './sync.js';

const secondMs = 1000;

/**
 * Makes an administrator of a connected device: it is given the keys that administering takes, sealed for its combined key, and
 * the newer profile of the Mesh names its own key. It can then do all that this device can, but for making administrators: the
 * key that signs profiles of the Mesh stays where the master seed is.
 *
 * May be called again, where it was interrupted. Taken back it is by shutting the device out alone.
 *
 * @throws ClientError `usage` without the master seed, or for a device that may not use all stores; `refused`, `conflict`
 */
export async function grantAdministration(device: Device, name: string): Promise<ListedDevice> {
  const { session } = device;
  session.keys.key('meshOffline');
  await syncAccount(device);
  await finishBinding(device);
  const named = deviceNamed(await listDevices(device), name);
  requireAllStores(named.permissions.length);
  let meshKey: PublicKeyEd448 | undefined;
  await changeDevices(device, async () => {
    const entry = (await deviceEntries(device)).find(({ deviceUdf }) => deviceUdf === named.deviceUdf);
    if (entry === undefined) throw new ClientError('conflict', 'the device was shut out by another administrator');
    meshKey = await meshKeyOf(device, entry);
    return [await withAdministration(device, entry)];
  }, [deviceCatalog]);
  if (meshKey !== undefined) await nameAdministrator(device, meshKey);
  return { ...named, isAdministrator: true };
}

/** Who administers shuts devices out, and says for every store where their hand ends. @throws ClientError `usage` */
export function requireAllStores(permissionCount: number): void {
  if (permissionCount === 0) return;
  throw new ClientError(
    'usage',
    'a device that may use some stores alone cannot administer; shut it out and connect it without --permissions',
  );
}

async function meshKeyOf(device: Device, { entry }: DeviceEntry): Promise<PublicKeyEd448> {
  const { authority } = await device.cataloged();
  const { EnvelopedConnectionDevice: octets } = entry;
  if (octets === undefined) throw new ClientError('usage', 'the device is not connected to the Mesh; connect it anew');
  const { connection } = await verifyConnection(octets, 'ConnectionDevice', authority.meshKeys);
  return publicKeyOf(connection.KeySignature ?? {});
}

async function withAdministration(device: Device, before: DeviceEntry) {
  const { keys, identity, environment } = device.session;
  const { accountUdf: udf, address, accountKeys: onlineKeys } = (await device.cataloged()).authority;
  const octets = partOf(before.entry, udf)?.EnvelopedConnectionAccount;
  const connection = octets && (await verifyConnectionAccount(octets, { udf, address, onlineKeys })).connection;
  if (connection?.KeyEncryption === undefined) {
    throw new ClientError('usage', 'the connection of the device names no key to send secrets to; connect it anew');
  }
  const EnvelopedActivationKeys = sealAccountKeys({
    ...{ accountUdf: udf, epochs: keys.epochs, keyBlind: keys.keyBlind, administration: administrationMembers(keys) },
    readers: [publicKeyOf(connection.KeyEncryption)],
    ...{ signer: keys.key('accountOnline'), random: environment.random },
  });
  const change = { EnvelopedActivationKeys, EnvelopedProfileAccount: identity.profileAccount };
  return updateDraft(device, before, withPart(before.entry, udf, change), { nowMs: environment.nowMs() });
}

/**
 * Binds a newer profile of the Mesh that names this key as one that administers; nothing happens where it does already.
 *
 * @throws ClientError `usage` without the master seed, `refused`
 */
export async function nameAdministrator(device: Device, key: PublicKeyEd448): Promise<void> {
  const { keys, identity, environment } = device.session;
  const { profile } = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const online = profile.KeysOnlineSignature ?? [];
  if (online.some((member) => publicKeyOf(member).equals(key))) return;
  if (online.length >= onlineKeysMax) {
    throw new ClientError(
      'usage',
      `a Mesh has ${onlineKeysMax} administrators at most, those that were shut out included`,
    );
  }
  const updatedMs = Math.max(environment.nowMs(), (profile.Updated?.getTime() ?? 0) + secondMs);
  const newer = {
    ...{ ...profile, Updated: new Date(Math.floor(updatedMs / secondMs) * secondMs) },
    KeysOnlineSignature: [...online, publicMember({ publicKey: key })],
  };
  const profileMesh = signed(encodeTagged(ProfileMesh, newer, 'json'), keys.key('meshOffline'));
  await bindProfiles(device, { profileMesh, profileAccount: identity.profileAccount });
}
