import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { udfEquals } from '@meshd/crypto/udf';
import type { FrameDraft } from '@meshd/dare/batch';
import { encodeTagged } from '@meshd/encoding/codec';
import { uploadDevicesMax } from '@meshd/limits/limits';
import type { CatalogedDevice } from '@meshd/schema/catalog';
import { publicKeyOf, verifyConnectionAccount, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileAccount } from '@meshd/schema/profiles';
import { administrationMembers, sealAccountKeys } from '../account-keys.js';
import type { Device } from '../device.js';
import { type DeviceEntry, deviceEntries, partOf, updateDraft, withPart } from '../device-entries.js';
import type { AccountEpoch } from '../device-keys.js';
import { administrationKeyOf } from '../entitlement.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { publicMember, signed } from '../identity.js';
import { adoptAccountKeys } from './adopt-keys.js';
import { finishBinding, noteBinding, type Profiles } from './bind-profiles.js';
import { changeDevices } from './change-devices.js';
import { cutsOfStores, verifiedStores } from './stores.js';
import { syncAccount } from './sync.js';

const secondMs = 1000;

/** What a change of keys came to. */
export interface Rotated {
  /** UDF of the key that the account's data is encrypted to from now on. */
  readonly keyUdf: string;
  /** Devices that have it now. */
  readonly deviceCount: number;
  /** Devices whose connection names no key to send it to; they must be connected anew. */
  readonly without: readonly string[];
}

/**
 * Changes the key that the account's data is encrypted to (S62): a new key pair, sealed for each device under its combined key,
 * and a newer profile of the account that names it. Nothing is written here under the old one afterwards; it stays with the
 * devices, since entries that were written under it are not encrypted anew.
 *
 * With `shutOut` the same Upload deletes that device's entry, with the cuts of what it wrote (S48): there is no moment at which
 * it is out and the others still write under a key that it has.
 *
 * Interrupted it may be called again: a key that came to the catalog is used and bound, another one is forgotten.
 *
 * @throws ClientError `usage` on a device that does not administer, `refused`, `conflict`
 */
export async function rotateAccountKey(device: Device, shutOut?: string): Promise<Rotated> {
  const { session } = device;
  // All stores: the cuts name what was verified of each.
  await syncAccount(device);
  await finishBinding(device);
  // Before anything is sent: a device that lacks one of these does not administer.
  administrationMembers(session.keys);
  let rotation = await planRotation(device);
  const done = new Map<string, boolean>();
  for (let isFirst = true, isOpen = true; isOpen; isFirst = false) {
    let lot: [string, boolean][] = [];
    await changeDevices(device, async () => {
      if (isFirst) {
        // Anew where another administrator was faster: this key must be newer than his.
        rotation = await planRotation(device);
        await noteBinding(session.home, rotation.profiles);
      }
      const all = await deviceEntries(device);
      const isGone = ({ deviceUdf }: DeviceEntry) => deviceUdf === shutOut;
      const drafts = isFirst ? await deletions(device, all.filter(isGone), rotation) : [];
      const waiting = ownFirst(device, all).filter((each) => !isGone(each) && !done.has(each.deviceUdf));
      // Entries are bounded, since each costs the service some signatures; own entry and deletion are in the first lot.
      const now = waiting.slice(0, uploadDevicesMax - drafts.length);
      isOpen = now.length < waiting.length;
      lot = [];
      for (const entry of now) {
        const given = await withNewKey(device, entry, rotation);
        lot.push([entry.deviceUdf, given !== undefined]);
        const changed = given ?? withProfile(device, entry, rotation);
        drafts.push(await updateDraft(device, entry, changed, { nowMs: rotation.epoch.sinceMs, shutOut }));
        await showProgress(
          session.environment,
          'sealing the new key',
          done.size + lot.length,
          done.size + waiting.length,
        );
      }
      return drafts;
    });
    for (const [deviceUdf, isGiven] of lot) done.set(deviceUdf, isGiven);
    if (isFirst) await adoptAccountKeys(device);
  }
  await finishBinding(device);
  const keyUdf = signingKeyFromSeed(rotation.epoch.seed).publicKey.udf;
  const without = [...done].flatMap(([deviceUdf, isGiven]) => (isGiven ? [] : [deviceUdf]));
  return { keyUdf, deviceCount: done.size - without.length, without };
}

function ownFirst({ session: { identity } }: Device, entries: readonly DeviceEntry[]): DeviceEntry[] {
  const rank = ({ deviceUdf }: DeviceEntry) => (udfEquals(deviceUdf, identity.deviceUdf) ? 0 : 1);
  return [...entries].sort((a, b) => rank(a) - rank(b));
}

interface Rotation {
  readonly epoch: AccountEpoch;
  /** All keys, newest first. */
  readonly epochs: readonly AccountEpoch[];
  readonly profiles: Profiles;
}

async function planRotation(device: Device): Promise<Rotation> {
  const { keys, identity, environment } = device.session;
  const { shutOutMs } = await device.cataloged();
  const { profile } = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  // Later than all that was, whatever the clocks say: the newest key is found by its time, and so is the newest profile.
  const latestMs = Math.max(keys.epochs[0]?.sinceMs ?? 0, profile.Updated?.getTime() ?? 0, shutOutMs) + secondMs;
  const sinceMs = Math.max(wholeSeconds(environment.nowMs()), wholeSeconds(latestMs));
  const epoch = { seed: generateSeed(environment.random), sinceMs };
  const newer = { ...profile, Updated: new Date(sinceMs), KeyEncryption: publicMember(signingKeyFromSeed(epoch.seed)) };
  const payload = encodeTagged(ProfileAccount, newer, 'json');
  const profileAccount = signed(payload, keys.key('accountOffline'), keys.key('meshOnline'));
  return { epoch, epochs: [epoch, ...keys.epochs], profiles: { profileMesh: identity.profileMesh, profileAccount } };
}

const wholeSeconds = (ms: number) => Math.floor(ms / secondMs) * secondMs;

async function deletions(device: Device, gone: readonly DeviceEntry[], { epoch }: Rotation): Promise<FrameDraft[]> {
  const cuts = cutsOfStores(await verifiedStores(device));
  return gone.map(({ deviceUdf, first, current }) => {
    const links = { Modified: new Date(epoch.sinceMs), First: first, Previous: current, KeyValues: cuts };
    return { contentMeta: { UniqueID: deviceUdf, Event: 'Delete', ...links }, payload: new Uint8Array(0) };
  });
}

/** The entry with the new key; undefined where the device's connection names no key to seal it for. */
async function withNewKey(
  device: Device,
  { deviceUdf, entry }: DeviceEntry,
  { epochs, profiles }: Rotation,
): Promise<CatalogedDevice | undefined> {
  const { keys, identity, environment } = device.session;
  const { authority } = await device.cataloged();
  const connection = partOf(entry, identity.accountUdf)?.EnvelopedConnectionAccount;
  if (connection === undefined) return undefined;
  const { accountUdf: udf, address, accountKeys: onlineKeys } = authority;
  const { KeyEncryption: reader } = (await verifyConnectionAccount(connection, { udf, address, onlineKeys }))
    .connection;
  if (reader === undefined) return undefined;
  const isOwn = udfEquals(deviceUdf, identity.deviceUdf);
  const isAdministrator = isOwn || administrationKeyOf(entry, authority) !== undefined;
  const escrow = isOwn ? await escrowKeysOf(device) : [];
  const EnvelopedActivationKeys = sealAccountKeys({
    ...{ accountUdf: udf, epochs, keyBlind: keys.keyBlind },
    administration: isAdministrator ? administrationMembers(keys) : undefined,
    readers: [publicKeyOf(reader), ...escrow],
    ...{ signer: keys.key('accountOnline'), random: environment.random },
  });
  return withPart(entry, udf, { EnvelopedActivationKeys, EnvelopedProfileAccount: profiles.profileAccount });
}

function withProfile({ session }: Device, { entry }: DeviceEntry, { profiles }: Rotation): CatalogedDevice {
  return withPart(entry, session.identity.accountUdf, { EnvelopedProfileAccount: profiles.profileAccount });
}

/** The keys to which the Mesh has its reading keys escrowed. */
export async function escrowKeysOf({ session }: Device) {
  const { profile } = await verifyProfile(session.identity.profileMesh, 'ProfileMesh');
  return (profile.KeysMasterEscrow ?? []).map((key) => publicKeyOf(key));
}

/**
 * Shuts a device out (S25, S48, S62): its entry is deleted, what it has written counts up to where each store stands now, and all
 * others get a new key. The service refuses it from then on; whatever it holds by then, it holds.
 *
 * @param deviceUdf of another device than this one
 * @throws ClientError `usage` for this device, else as {@link rotateAccountKey}
 */
export async function shutOutDevice(device: Device, deviceUdf: string): Promise<Rotated> {
  if (udfEquals(deviceUdf, device.session.identity.deviceUdf)) {
    throw new ClientError('usage', 'a device does not revoke itself; use another administration device');
  }
  return rotateAccountKey(device, deviceUdf);
}
