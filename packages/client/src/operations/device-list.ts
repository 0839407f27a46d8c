import { udfEquals } from '@meshd/crypto/udf';
import { deviceNameCharactersMax } from '@meshd/limits/limits';
import type { Permission } from '@meshd/schema/connections';
import { deviceCatalog } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import type { Device } from '../device.js';
import { deviceEntries, updateDraft } from '../device-entries.js';
import { administrationKeyOf } from '../entitlement.js';
import { ClientError } from '../errors.js';
import { changeDevices } from './change-devices.js';
import { type Rotated, shutOutDevice } from './rotate.js';
import { readableReplica, syncAccount } from './sync.js';

/** A device of the account. */
export interface ListedDevice {
  readonly deviceUdf: string;
  /** As an administrator calls it, else as the device said of itself when it asked. */
  readonly description: string;
  readonly isThis: boolean;
  /** It administers the account: the verified profile of the Mesh names the key of its entry (S25). */
  readonly isAdministrator: boolean;
  /** Empty: every store. */
  readonly permissions: readonly Permission[];
}

/** The devices that the account has now, each entry verified. @throws ClientError */
export async function listDevices(device: Device): Promise<ListedDevice[]> {
  const { session } = device;
  await syncAccount(device, [deviceCatalog]);
  await readableReplica(device, deviceCatalog);
  const { authority, devices } = await device.cataloged();
  const listed: ListedDevice[] = [];
  for (const { deviceUdf, entry } of await deviceEntries(device)) {
    const { EnvelopedProfileDevice: octets } = entry;
    const saysOfItself = octets && (await verifyProfile(octets, 'ProfileDevice')).profile.Description;
    const writing = devices.find((each) => each.deviceUdf === deviceUdf);
    listed.push({
      ...{ deviceUdf, description: entry.Name ?? saysOfItself ?? '', permissions: writing?.permissions ?? [] },
      isThis: udfEquals(deviceUdf, session.identity.deviceUdf),
      isAdministrator: administrationKeyOf(entry, authority) !== undefined,
    });
  }
  return listed;
}

/**
 * One device by its fingerprint or the beginning of it, or by what it is called.
 *
 * @throws ClientError `usage` where there is none or more than one: a device chooses its own name, and must not be taken for
 *   another that way
 */
export function deviceNamed(devices: readonly ListedDevice[], name: string): ListedDevice {
  const found = devices.filter(
    ({ deviceUdf, description }) => description === name || deviceUdf.startsWith(name.toUpperCase()),
  );
  if (found.length === 1) return found[0] as ListedDevice;
  const why = found.length === 0 ? `there is no device ${name}` : `${name} means ${found.length} devices`;
  const next = found.length === 0 ? 'see mesh device list' : 'name it by its fingerprint, which mesh device list shows';
  throw new ClientError('usage', `${why}; ${next}`);
}

/** A device that was shut out, and what became of the account's keys. */
export interface RevokedDevice extends Rotated {
  readonly device: ListedDevice;
}

/**
 * Shuts a device out, named as {@link deviceNamed} says, and changes the account's key (S25, S48, S62).
 *
 * @throws ClientError `usage` for this device, `refused`, `conflict`
 */
export async function revokeDevice(device: Device, name: string): Promise<RevokedDevice> {
  // Before it is asked who is meant: who does not administer is told so.
  device.session.keys.key('meshOnline');
  const revoked = deviceNamed(await listDevices(device), name);
  return { ...(await shutOutDevice(device, revoked.deviceUdf)), device: revoked };
}

/**
 * Calls a device otherwise than it calls itself; devices of the account see it. The service can read it.
 *
 * @throws ClientError `usage`, `refused`, `conflict`
 */
export async function renameDevice(device: Device, name: string, newName: string): Promise<ListedDevice> {
  if (newName.length > deviceNameCharactersMax) {
    throw new ClientError('usage', `the name of a device has ${deviceNameCharactersMax} characters at most`);
  }
  device.session.keys.key('meshOnline');
  const { deviceUdf } = deviceNamed(await listDevices(device), name);
  const nowMs = device.session.environment.nowMs();
  const named = async () => {
    const found = (await deviceEntries(device)).filter((each) => each.deviceUdf === deviceUdf);
    return Promise.all(found.map((each) => updateDraft(device, each, { ...each.entry, Name: newName }, { nowMs })));
  };
  await changeDevices(device, named, [deviceCatalog]);
  return deviceNamed(await listDevices(device), deviceUdf);
}
