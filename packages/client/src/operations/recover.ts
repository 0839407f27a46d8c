import { hostname } from 'node:os';
import { recoverSecret } from '@meshd/crypto/secret-share';
import { decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { encodeTagged } from '@meshd/encoding/codec';
import { deviceCatalog, itemContentType } from '@meshd/schema/container-name';
import { onlineKeysOf, publicKeyOf, verifyAccountAssertion, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileAccount, ProfileMesh } from '@meshd/schema/profiles';
import { epochsOf, isEncryptedTo, openAccountKeys, sealAccountKeys } from '../account-keys.js';
import { type AccountState, findAccount, forgetAccount, saveAccount, saveCa, saveIdentity } from '../account-state.js';
import { Device } from '../device.js';
import { deviceEntries, partOf } from '../device-entries.js';
import { keysOfMaster, loadDeviceKeys, saveDeviceKeys } from '../device-keys.js';
import type { ClientEnvironment } from '../environment.js';
import { ClientError } from '../errors.js';
import { Home } from '../home.js';
import { deviceEntry, escrowKey, makeIdentity, publicMember, signed } from '../identity.js';
import { masterOfText, seedOfMaster } from '../master.js';
import { Session } from '../session.js';
import { bindProfiles } from './bind-profiles.js';
import { changeDevices } from './change-devices.js';
import { escrowKeysOf } from './rotate.js';
import { syncAccount } from './sync.js';

const secondMs = 1000;

/** What is to be recovered, and where. */
export interface RecoverOptions {
  /** As many as the quorum says. */
  readonly shares: readonly string[];
  /** Canonical address; not needed in a home that has the account. */
  readonly address?: string | undefined;
  readonly url?: string | undefined;
  readonly ca?: string | undefined;
  /** Name of this device. */
  readonly description?: string | undefined;
}

/** What became of it. */
export interface Recovered {
  readonly state: AccountState;
  /** `device`: this home is a new administration device. `master`: it had the account, and has the master seed again. */
  readonly what: 'device' | 'master';
  /** Other devices that are connected. */
  readonly otherDevices: readonly string[];
}

/**
 * Makes a new administration device from shares of the master seed (S25): the keys of the Mesh and the account follow from it,
 * the keys to the data were escrowed to it. The new device reads the device catalog by a connection that the Mesh's offline key
 * has signed, binds a newer profile that names its key, and lists itself with the offline key. Other devices go on as before.
 *
 * Interrupted it may be called again with the same address: it goes on with the same keys.
 *
 * @throws ClientError `usage`, `refused`, `entry` where nothing was escrowed to this seed; CryptoError `share`
 */
export async function recoverAccount(
  folder: string,
  environment: ClientEnvironment,
  options: RecoverOptions,
): Promise<Recovered> {
  const master = masterOfText(recoverSecret(options.shares));
  const home = new Home(folder);
  return home.exclusively(async () => {
    const existing = await findAccount(home);
    if (existing !== undefined && existing.stage !== 'recovering') return restoreMaster(home, existing, master);
    const state = existing ?? (await prepare(home, environment, master, options));
    await requireSame(home, state, master, options);
    const device = new Device(await Session.open(home, environment, state));
    try {
      await recover(device, master).catch((error) => sayThatTheyDiffer(home, error, existing === undefined));
      const ready: AccountState = { ...state, stage: 'ready' };
      await saveAccount(home, ready);
      await syncAccount(device);
      const devices = (await deviceEntries(device)).map(({ deviceUdf }) => deviceUdf);
      return { state: ready, what: 'device', otherDevices: devices.filter((udf) => udf !== state.deviceUdf) };
    } finally {
      await device.close();
    }
  });
}

const unknownStatus = 401;

/** A share with a slip of the pen gives another seed: nothing in it tells. The service does, which knows no such Mesh. */
async function sayThatTheyDiffer(home: Home, error: unknown, isFresh: boolean): Promise<never> {
  if (!(error instanceof ClientError) || error.refusal?.status !== unknownStatus) throw error;
  // Nothing was bound to these keys; the next attempt begins anew.
  if (isFresh) await forgetAccount(home);
  throw new ClientError(
    'usage',
    'the service knows no account of that name that these shares are of: look whether one is mistyped, of another account, or of another splitting',
    { cause: error },
  );
}

async function requireSame(
  home: Home,
  state: AccountState,
  master: Uint8Array,
  options: RecoverOptions,
): Promise<void> {
  const keys = await loadDeviceKeys(home);
  const isSame = keys.master !== undefined && Buffer.compare(keys.master, master) === 0;
  if (isSame && (options.address ?? state.address) === state.address) return;
  throw new ClientError('usage', `${home.folder} is recovering ${state.address} from other shares; use another --home`);
}

/** The seed comes back to a home that it was taken out of. */
async function restoreMaster(home: Home, state: AccountState, master: Uint8Array): Promise<Recovered> {
  const keys = await loadDeviceKeys(home);
  const changed = keys.changed({ master, secrets: new Map([['meshOffline', seedOfMaster(master, 'meshOffline')]]) });
  if (changed.key('meshOffline').publicKey.udf !== state.meshUdf) {
    throw new ClientError(
      'usage',
      `${home.folder} holds ${state.address}, of which these are no shares; use another --home`,
    );
  }
  await saveDeviceKeys(home, changed);
  return { state, what: 'master', otherDevices: [] };
}

/** Keys and provisional profiles on disk: older than any that the service has, so that its own take their place. */
async function prepare(
  home: Home,
  environment: ClientEnvironment,
  master: Uint8Array,
  { address, url, ca, description = hostname() }: RecoverOptions,
): Promise<AccountState> {
  if (address === undefined) throw new ClientError('usage', 'say which account: --account NAME@DOMAIN');
  const keys = keysOfMaster(master, environment.random);
  const { profileMesh, profileAccount } = makeIdentity(keys, address, 0, description);
  const made = makeIdentity(keys, address, environment.nowMs(), description);
  const payload = made.connectionAccount.payload ?? new Uint8Array(0);
  // Signed by the Mesh itself besides: by that the service lets a device read that is not listed.
  const connectionAccount = signed(payload, keys.key('accountOnline'), keys.key('meshOffline'));
  const identity = { ...made, profileMesh, profileAccount, connectionAccount };
  await saveDeviceKeys(home, keys);
  await saveIdentity(home, identity);
  await saveCa(home, ca);
  const { meshUdf, deviceUdf, accountUdf } = identity;
  const state: AccountState = { version: 1, address, url, stage: 'recovering', meshUdf, deviceUdf, accountUdf };
  await saveAccount(home, state);
  return state;
}

async function recover(device: Device, master: Uint8Array): Promise<void> {
  const { session } = device;
  await syncAccount(device, [deviceCatalog]);
  const isListed = async () =>
    (await deviceEntries(device)).some(({ deviceUdf }) => deviceUdf === session.identity.deviceUdf);
  if (await isListed()) return;
  await takeNewestProfile(device);
  await takeEscrowed(device, master);
  await bindAsAdministrator(device);
  await changeDevices(device, async () => [await ownDraft(device)], [deviceCatalog], 'meshOffline');
}

/** Of the account's profiles that the catalog holds the newest: the service shows it to nobody. */
async function takeNewestProfile(device: Device): Promise<void> {
  const { identity, state } = device.session;
  const mesh = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  let newest = { octets: identity.profileAccount, updatedMs: 0 };
  for (const { entry } of await deviceEntries(device)) {
    const octets = partOf(entry, identity.accountUdf)?.EnvelopedProfileAccount;
    if (octets === undefined) continue;
    const { profile } = await verifyAccountAssertion(octets, mesh, state.address);
    const updatedMs = profile.Updated?.getTime() ?? 0;
    if (updatedMs > newest.updatedMs) newest = { octets, updatedMs };
  }
  await device.session.renew({ ...identity, profileAccount: newest.octets });
  device.forgetWriters();
}

/** The account's keys, as an administrator has sealed them for the escrow; the newest of several. */
async function takeEscrowed(device: Device, master: Uint8Array): Promise<void> {
  const { session } = device;
  const { profile } = await verifyProfile(session.identity.profileAccount, 'ProfileAccount');
  const { udf } = escrowKey(master).publicKey;
  const key = decryptionKeyFromSeed('Ed448', seedOfMaster(master, 'escrow'));
  const current = publicKeyOf(profile.KeyEncryption ?? {}).udf;
  for (const { entry } of (await deviceEntries(device)).reverse()) {
    const octets = partOf(entry, session.identity.accountUdf)?.EnvelopedActivationKeys;
    if (octets === undefined || !isEncryptedTo(octets, udf)) continue;
    const { KeysEncryption: members, KeyBlind: keyBlind } = await openAccountKeys(octets, onlineKeysOf(profile), key);
    const keys = session.keys.changed({ epochs: epochsOf(members), keyBlind });
    if (keys.key('accountEncryption').publicKey.udf !== current) continue;
    await session.rekey(keys);
    return;
  }
  throw new ClientError(
    'entry',
    'the newest key of this account was not escrowed to these shares: its data cannot be read by them; nothing was changed',
  );
}

/** Newer profiles, signed by the Mesh itself: that of the Mesh names this device's key too. */
async function bindAsAdministrator(device: Device): Promise<void> {
  const { keys, identity, environment } = device.session;
  const { profile: mesh } = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const { profile: account } = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  const key = keys.key('meshOnline');
  const online = mesh.KeysOnlineSignature ?? [];
  if (online.some((member) => publicKeyOf(member).equals(key.publicKey))) return;
  const later = ({ Updated: updated }: { readonly Updated?: Date | undefined }) =>
    new Date(Math.max(Math.floor(environment.nowMs() / secondMs) * secondMs, (updated?.getTime() ?? 0) + secondMs));
  const offline = keys.key('meshOffline');
  const named = { ...mesh, Updated: later(mesh), KeysOnlineSignature: [...online, publicMember(key)] };
  const profileMesh = signed(encodeTagged(ProfileMesh, named, 'json'), offline);
  const renewed = encodeTagged(ProfileAccount, { ...account, Updated: later(account) }, 'json');
  const profileAccount = signed(renewed, keys.key('accountOffline'), offline);
  await bindProfiles(device, { profileMesh, profileAccount }, { key: offline });
}

async function ownDraft(device: Device) {
  const { keys, identity, environment } = device.session;
  const accountKeys = sealAccountKeys({
    ...{ accountUdf: identity.accountUdf, epochs: keys.epochs, keyBlind: keys.keyBlind },
    readers: [keys.key('connectionEncryption').publicKey, ...(await escrowKeysOf(device))],
    ...{ signer: keys.key('accountOnline'), random: environment.random },
  });
  const created = new Date(environment.nowMs());
  return {
    contentMeta: { UniqueID: identity.deviceUdf, cty: itemContentType, Event: 'New', Created: created },
    payload: deviceEntry(keys, identity, accountKeys),
  };
}
