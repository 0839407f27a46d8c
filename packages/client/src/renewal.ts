import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import type { AccountEntry } from '@meshd/schema/catalog';
import { connectionRegistry } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import {
  onlineKeysOf,
  publicKeyOf,
  verifyAccountAssertion,
  verifyConnectionAccount,
  verifyProfile,
} from '@meshd/schema/profile-check';
import type { DeviceKeys, KeyName } from './device-keys.js';
import { decodeDeviceEntry } from './entitlement.js';
import { ClientError } from './errors.js';
import type { Identity } from './identity.js';

/** What a Status may say of the Mesh and of the device that asks (semantics 6.4). */
export interface Brought {
  /** `EnvelopedProfileMaster`. */
  readonly profileMesh?: EnvelopeOctets | undefined;
  /** `EnvelopedCatalogEntryDevice`. */
  readonly deviceEntry?: EnvelopeOctets | undefined;
}

/** Whose identity it is. */
export interface Holder {
  readonly identity: Identity;
  readonly keys: DeviceKeys;
  readonly address: string;
}

/**
 * The identity with what the service brought, where that is newer: the ProfileMesh signed by the offline key of the
 * Mesh that this device belongs to, the connection signed by an online key of the account and made for this device's
 * keys, both with a later `Updated` (S25). The service is believed in nothing here: it only carries.
 *
 * @returns undefined where nothing is new
 * @throws ClientError `profile` for what does not verify, is of somebody else, or is older than what is here
 */
export async function renewedIdentity(holder: Holder, brought: Brought): Promise<Identity | undefined> {
  const { identity } = holder;
  const profileMesh = await newerMesh(identity, brought.profileMesh);
  const withMesh = profileMesh === undefined ? identity : { ...identity, profileMesh };
  const renewed = await withEntry({ ...holder, identity: withMesh }, brought.deviceEntry);
  return renewed === identity ? undefined : renewed;
}

const isSame = (one: EnvelopeOctets, other: EnvelopeOctets) =>
  constantTimeEqual(sha512(one.payload ?? new Uint8Array(0)), sha512(other.payload ?? new Uint8Array(0)));

function requireNewer(what: string, given: Date | undefined, held: Date | undefined): void {
  const [givenMs, heldMs] = [given?.getTime() ?? 0, held?.getTime() ?? 0];
  if (givenMs > heldMs) return;
  const at = (ms: number) => (ms === 0 ? 'without a date' : `of ${new Date(ms).toISOString()}`);
  throw new Error(`${what} ${at(givenMs)} in place of the one ${at(heldMs)} that this device has`);
}

/** Judges one object; whatever is wrong with it, the user is told that the service gave it. */
async function judging<T>(what: string, judge: () => Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (cause) {
    const message = `the service gives ${what} that is refused: ${(cause as Error).message}; nothing of it is used`;
    throw new ClientError('profile', message, { cause });
  }
}

async function newerMesh(held: Identity, given: EnvelopeOctets | undefined): Promise<EnvelopeOctets | undefined> {
  if (given === undefined || isSame(given, held.profileMesh)) return undefined;
  return judging('a profile of this Mesh', async () => {
    const before = await verifyProfile(held.profileMesh, 'ProfileMesh');
    const now = await verifyProfile(given, 'ProfileMesh');
    if (!now.offlineKey.equals(before.offlineKey)) throw new Error('it is the profile of another Mesh');
    // Keys that cannot be used would be found out only when somebody writes under them.
    onlineKeysOf(now.profile);
    requireNewer('it is a profile', now.profile.Updated, before.profile.Updated);
    return given;
  });
}

async function withEntry(holder: Holder, given: EnvelopeOctets | undefined): Promise<Identity> {
  const { identity, address } = holder;
  if (given === undefined) return identity;
  return judging('an entry of this device', async () => {
    const entry = ownEntry(identity, given);
    const withAccount = await withNewerAccount(identity, address, entry.EnvelopedProfileAccount);
    const connection = entry.EnvelopedConnectionAccount;
    if (connection === undefined) throw new Error('it has no connection to the account');
    if (isSame(connection, identity.connectionAccount)) return withAccount;
    await requireOwnConnection({ ...holder, identity: withAccount }, connection);
    return { ...withAccount, connectionAccount: connection };
  });
}

/** What a catalog entry says of the device and the account of this home. */
function ownEntry(identity: Identity, given: EnvelopeOctets): AccountEntry {
  if (given.payload === null) throw new Error('its body was left out');
  const value = decodeDeviceEntry(given.payload);
  if (value.DeviceUDF === undefined || !udfEquals(value.DeviceUDF, identity.deviceUdf)) {
    throw new Error('it is the entry of another device');
  }
  const account = value.Accounts?.find(
    ({ AccountUDF: udf }) => udf !== undefined && udfEquals(udf, identity.accountUdf),
  );
  if (account === undefined) throw new Error('it is the entry of a device of another account');
  return account;
}

/** Entries carry the profile as it was when they were written: an older one is none of their faults. */
async function withNewerAccount(
  identity: Identity,
  address: string,
  given: EnvelopeOctets | undefined,
): Promise<Identity> {
  if (given === undefined || isSame(given, identity.profileAccount)) return identity;
  const mesh = await verifyProfile(identity.profileMesh, 'ProfileMesh');
  const held = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  const account = await verifyAccountAssertion(given, mesh, address);
  if (!account.offlineKey.equals(held.offlineKey)) throw new Error('its profile is that of another account');
  const isNewer = (account.profile.Updated?.getTime() ?? 0) > (held.profile.Updated?.getTime() ?? 0);
  return isNewer ? { ...identity, profileAccount: given } : identity;
}

async function requireOwnConnection({ identity, keys, address }: Holder, given: EnvelopeOctets): Promise<void> {
  const { profile, offlineKey } = await verifyProfile(identity.profileAccount, 'ProfileAccount');
  const authority = { udf: offlineKey.udf, address, onlineKeys: onlineKeysOf(profile) };
  const { connection, keyAuthentication, keySignature } = await verifyConnectionAccount(given, authority);
  const isOwn = (key: PublicKeyEd448, name: KeyName) => key.equals(keys.key(name).publicKey);
  const isOwnOrAbsent = (key: PublicKey | undefined, name: KeyName) =>
    key === undefined || isOwn(publicKeyOf(key), name);
  if (
    !isOwn(keyAuthentication, 'connectionAuthentication') ||
    !isOwn(keySignature, 'connectionSignature') ||
    !isOwnOrAbsent(connection.KeyEncryption, 'connectionEncryption')
  ) {
    throw new Error('its connection is for keys that this device does not have');
  }
  requireNewer('its connection is one', connection.Updated, updatedOf(identity.connectionAccount));
}

/** When a connection of this home was made; it was verified before, perhaps under keys that are no longer current. */
function updatedOf(connection: EnvelopeOctets): Date | undefined {
  const payload = connection.payload ?? new Uint8Array(0);
  return decodeTagged(connectionRegistry, payload, { form: 'json', refuseRepeated: true }).value.Updated;
}
