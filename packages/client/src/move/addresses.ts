import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { uploadDevicesMax } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import { ConnectionAccount } from '@meshd/schema/connections';
import { deviceCatalog } from '@meshd/schema/container-name';
import { onlineKeysOf, verifyConnection, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileAccount } from '@meshd/schema/profiles';
import { administrationMembers } from '../account-keys.js';
import type { Device } from '../device.js';
import { type DeviceEntry, deviceEntries, partOf, updateDraft, withPart } from '../device-entries.js';
import { showProgress } from '../environment.js';
import { signed } from '../identity.js';
import { adoptAccountKeys } from '../operations/adopt-keys.js';
import { bindProfiles, finishBinding, noteBinding, type Profiles } from '../operations/bind-profiles.js';
import { changeDevices } from '../operations/change-devices.js';
import { addressesOf } from '../service-addresses.js';

const secondMs = 1000;
const wholeSeconds = (ms: number) => Math.floor(ms / secondMs) * secondMs;

/** How addresses are changed. */
export interface ChangeOptions {
  /** Bind before the entries are written: the service takes none while it is not the authoritative one. */
  readonly bindFirst?: boolean | undefined;
}

/**
 * Has the account named by these addresses: a newer profile, entries that carry it for every device, and connections that name
 * an address which they did not name before. Then the profile is bound at the device's service.
 *
 * May be called again where it was interrupted; nothing happens where all is so already.
 *
 * @param addresses canonical; the first is the authoritative one
 * @throws ClientError `usage` on a device that does not administer, `refused`, `conflict`
 */
export async function changeAddresses(
  device: Device,
  addresses: readonly string[],
  { bindFirst = false }: ChangeOptions = {},
): Promise<void> {
  const { session } = device;
  administrationMembers(session.keys);
  let profiles: Profiles = session.identity;
  if (!isSame(await addressesOf(session.identity.profileAccount), addresses)) {
    profiles = await newerProfiles(device, addresses);
    if (bindFirst) await bindProfiles(device, profiles);
    else await noteBinding(session.home, profiles);
  }
  for (let left = true; left; ) {
    left = await writeLot(device, addresses, profiles.profileAccount);
    await adoptAccountKeys(device);
  }
  await finishBinding(device);
}

const isSame = (one: readonly string[], other: readonly string[]) => one.join(' ') === other.join(' ');

async function newerProfiles({ session }: Device, addresses: readonly string[]): Promise<Profiles> {
  const { keys, identity, environment } = session;
  const { profile } = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  const laterMs = (profile.Updated?.getTime() ?? 0) + secondMs;
  const updatedMs = Math.max(wholeSeconds(environment.nowMs()), wholeSeconds(laterMs));
  const newer = { ...profile, Updated: new Date(updatedMs), ServiceIDs: [...addresses] };
  const payload = encodeTagged(ProfileAccount, newer, 'json');
  const profileAccount = signed(payload, keys.key('accountOffline'), keys.key('meshOnline'));
  return { profileMesh: identity.profileMesh, profileAccount };
}

/** @returns whether there are more */
async function writeLot(
  device: Device,
  addresses: readonly string[],
  profileAccount: EnvelopeOctets,
): Promise<boolean> {
  const { identity, environment } = device.session;
  const find = async () => {
    const changes: { readonly entry: DeviceEntry; readonly part: object }[] = [];
    for (const entry of ownFirst(identity.deviceUdf, await deviceEntries(device))) {
      const part = await changeOf(device, entry, addresses, profileAccount);
      if (part !== undefined) changes.push({ entry, part });
    }
    return changes;
  };
  let count = (await find()).length;
  if (count === 0) return false;
  await changeDevices(device, async () => {
    const all = await find();
    count = all.length;
    const nowMs = environment.nowMs();
    const now = all.slice(0, uploadDevicesMax);
    await showProgress(environment, 'renewing connections', 0, count);
    return Promise.all(
      now.map(({ entry, part }) =>
        updateDraft(device, entry, withPart(entry.entry, identity.accountUdf, part), { nowMs }),
      ),
    );
  }, [deviceCatalog]);
  return count > uploadDevicesMax;
}

function ownFirst(deviceUdf: string, entries: readonly DeviceEntry[]): DeviceEntry[] {
  const rank = (entry: DeviceEntry) => (udfEquals(entry.deviceUdf, deviceUdf) ? 0 : 1);
  return [...entries].sort((a, b) => rank(a) - rank(b));
}

/** What of an entry is to be another; undefined where nothing is, or the device has no part in the account. */
async function changeOf(
  device: Device,
  { entry }: DeviceEntry,
  addresses: readonly string[],
  profileAccount: EnvelopeOctets,
): Promise<object | undefined> {
  const { identity, keys, environment } = device.session;
  const part = partOf(entry, identity.accountUdf);
  if (part?.EnvelopedConnectionAccount === undefined) return undefined;
  const { profile } = await verifyProfile(profileAccount, 'ProfileAccount');
  const { connection } = await verifyConnection(
    part.EnvelopedConnectionAccount,
    'ConnectionAccount',
    onlineKeysOf(profile),
  );
  const named = (connection.ServiceID ?? []).map((address) => canonicalAddress(address));
  // One that names none is good at all.
  const missing = named.length === 0 ? [] : addresses.filter((address) => !named.includes(address));
  const hasProfile = Buffer.compare(
    part.EnvelopedProfileAccount?.payload ?? new Uint8Array(0),
    profileAccount.payload ?? new Uint8Array(0),
  );
  if (missing.length === 0 && hasProfile === 0) return undefined;
  if (missing.length === 0) return { EnvelopedProfileAccount: profileAccount };
  const laterMs = (connection.Updated?.getTime() ?? 0) + secondMs;
  const updatedMs = Math.max(wholeSeconds(environment.nowMs()), wholeSeconds(laterMs));
  const newer: ConnectionAccount = {
    ...connection,
    Updated: new Date(updatedMs),
    ServiceID: [...named, ...missing],
  };
  return {
    EnvelopedProfileAccount: profileAccount,
    EnvelopedConnectionAccount: signed(encodeTagged(ConnectionAccount, newer, 'json'), keys.key('accountOnline')),
  };
}
