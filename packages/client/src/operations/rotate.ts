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
  const distribution = new Distribution(device, shutOut);
  while (distribution.isOpen) await distribution.sendLot();
  await finishBinding(device);
  return distribution.result;
}

/** A new key on its way to the devices, in lots: entries of one Upload are bounded, since each costs the service signatures. */
class Distribution {
  readonly #device: Device;
  readonly #shutOut: string | undefined;
  /** Devices that are done, and whether they could be given the key. */
  readonly #done = new Map<string, boolean>();
  #rotation: Rotation | undefined;
  #isOpen = true;

  constructor(device: Device, shutOut: string | undefined) {
    this.#device = device;
    this.#shutOut = shutOut;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get result(): Rotated {
    const without = [...this.#done].flatMap(([deviceUdf, isGiven]) => (isGiven ? [] : [deviceUdf]));
    const keyUdf = signingKeyFromSeed(this.#rotation?.epoch.seed ?? new Uint8Array(0)).publicKey.udf;
    return { keyUdf, deviceCount: this.#done.size - without.length, without };
  }

  /** Own entry and the deletion are in the first lot, with which the key is in use. */
  async sendLot(): Promise<void> {
    const isFirst = this.#done.size === 0;
    let given = new Map<string, boolean>();
    await changeDevices(this.#device, async () => {
      // Anew where another administrator was faster: this key must be newer than his.
      const rotation = isFirst ? await this.#plan() : (this.#rotation as Rotation);
      const all = await deviceEntries(this.#device);
      const gone = isFirst ? all.filter((entry) => this.#isGone(entry)) : [];
      const drafts = await deletions(this.#device, gone, rotation);
      given = new Map();
      for (const entry of this.#nextOf(all, uploadDevicesMax - drafts.length)) {
        const changed = await withNewKey(this.#device, entry, rotation);
        given.set(entry.deviceUdf, changed !== undefined);
        const replaced = changed ?? withProfile(this.#device, entry, rotation);
        const options = { nowMs: rotation.epoch.sinceMs, shutOut: this.#shutOut };
        drafts.push(await updateDraft(this.#device, entry, replaced, options));
        const doneCount = this.#done.size + given.size;
        await showProgress(
          this.#device.session.environment,
          'sealing the new key',
          doneCount,
          all.length - gone.length,
        );
      }
      return drafts;
    });
    for (const [deviceUdf, isGiven] of given) this.#done.set(deviceUdf, isGiven);
    if (isFirst) await adoptAccountKeys(this.#device);
  }

  async #plan(): Promise<Rotation> {
    this.#rotation = await planRotation(this.#device);
    await noteBinding(this.#device.session.home, this.#rotation.profiles);
    return this.#rotation;
  }

  #isGone({ deviceUdf }: DeviceEntry): boolean {
    return deviceUdf === this.#shutOut;
  }

  /** Entries that wait for the key, as many as there is room for. */
  #nextOf(all: readonly DeviceEntry[], room: number): DeviceEntry[] {
    const waiting = ownFirst(this.#device, all).filter(
      (each) => !this.#isGone(each) && !this.#done.has(each.deviceUdf),
    );
    this.#isOpen = waiting.length > room;
    return waiting.slice(0, room);
  }
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
