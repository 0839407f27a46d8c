import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { type ConnectionAccount, connectionRegistry } from '@meshd/schema/connections';
import {
  publicKeyOf,
  type VerifiedConnection,
  verifyConnection,
  verifyConnectionAccount,
  verifyProfile,
} from '@meshd/schema/profile-check';
import { MeshError } from '@meshd/schema/status';
import type { DevicePermission } from '../storage/store.js';
import { type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';

/** Whose keys vouch for connections, as the account stores them now. */
export interface ConnectionAuthority {
  /** Canonical address. */
  readonly address: string;
  readonly accountUdf: string;
  /** `KeysOnlineSignature` of the stored ProfileAccount. */
  readonly accountKeys: readonly PublicKeyEd448[];
  /** Keys of the stored ProfileMesh that may connect devices: the online ones, and the offline key for recovery. */
  readonly meshKeys: readonly PublicKeyEd448[];
}

/** A device's connection to an account, verified. */
export interface DeviceConnection {
  readonly keyAuthentication: PublicKeyEd448;
  readonly keySignature: PublicKeyEd448;
  /** SHA-512 of the payload of the ConnectionAccount. */
  readonly digest: Uint8Array;
  readonly permissions: readonly DevicePermission[];
  /** The account key that signed it. */
  readonly signer: PublicKeyEd448;
}

/** What an entry of the device catalog says about its device, verified. */
export interface VerifiedDevice {
  readonly deviceUdf: string;
  /** The connection to this account; undefined when the device is connected to the Mesh alone. */
  readonly connection: DeviceConnection | undefined;
  /** Raw public keys that are the device's own and die with it (S25). */
  readonly keys: readonly Uint8Array[];
}

const deviceTags = defineTags('entry of the device catalog', { CatalogedDevice });

/**
 * Verifies an entry of the device catalog before it is taken (semantics 6.6): `CatalogedDevice`, its `UniqueID`, profile
 * and connections with their signatures.
 *
 * Costs some signature checks and key imports, so the manifest of the batch is verified first: only administrators cause
 * them.
 */
export async function verifyDeviceEntry(
  frame: UploadedFrame,
  authority: ConnectionAuthority,
): Promise<VerifiedDevice | EntryFault> {
  const { payload, meta, indexRequest } = frame;
  try {
    const device = decodeTagged(deviceTags, payload, { form: 'json', refuseRepeated: true }).value;
    if (device.DeviceUDF === undefined || device.DeviceUDF !== meta.UniqueID) {
      return reject(indexRequest, 'event-rule', 'UniqueID of a device entry is its DeviceUDF');
    }
    return await verifyDevice(device, device.DeviceUDF, authority);
  } catch (error) {
    if (isBadInput(error)) return reject(indexRequest, 'object-signature', (error as Error).message);
    throw error;
  }
}

async function verifyDevice(
  device: CatalogedDevice,
  deviceUdf: string,
  authority: ConnectionAuthority,
): Promise<VerifiedDevice> {
  const refused = (why: string) => new MeshError('object-signature', `CatalogedDevice: ${why}`);
  if (device.EnvelopedProfileDevice === undefined) throw refused('EnvelopedProfileDevice is missing');
  const profile = await verifyProfile(device.EnvelopedProfileDevice, 'ProfileDevice');
  if (!udfEquals(profile.offlineKey.udf, deviceUdf)) throw refused('DeviceUDF is not that of the profile');
  const meshKeys =
    device.EnvelopedConnectionDevice === undefined
      ? []
      : await keysOfConnectionDevice(device.EnvelopedConnectionDevice, authority.meshKeys);
  const account = device.Accounts?.find(({ AccountUDF: udf }) => udf !== undefined && isUdf(udf, authority.accountUdf));
  const connection =
    account?.EnvelopedConnectionAccount === undefined
      ? undefined
      : await verifyDeviceConnection(account.EnvelopedConnectionAccount, authority);
  const accountKeys = connection === undefined ? [] : [connection.keyAuthentication, connection.keySignature];
  const keys = [...meshKeys, ...accountKeys];
  if (keys.length === 0) throw refused('neither a connection to the Mesh nor one to this account');
  const named = keyNamed(device.UDF, authority.meshKeys);
  return { deviceUdf, connection, keys: [...keys, ...named].map((key) => key.raw) };
}

/**
 * Verifies a ConnectionAccount under the account that it names.
 *
 * @throws MeshError or CryptoError for whatever does not hold.
 */
export async function verifyDeviceConnection(
  octets: EnvelopeOctets,
  authority: Pick<ConnectionAuthority, 'address' | 'accountUdf' | 'accountKeys'>,
): Promise<DeviceConnection> {
  const { address, accountUdf: udf, accountKeys: onlineKeys } = authority;
  const verified = await verifyConnectionAccount(octets, { address, udf, onlineKeys });
  return {
    keyAuthentication: verified.keyAuthentication,
    keySignature: verified.keySignature,
    digest: verified.payloadDigest,
    permissions: permissionsOf(verified),
    signer: verified.signer,
  };
}

async function keysOfConnectionDevice(
  octets: EnvelopeOctets,
  meshKeys: readonly PublicKeyEd448[],
): Promise<PublicKeyEd448[]> {
  const { connection } = await verifyConnection(octets, 'ConnectionDevice', meshKeys);
  return [connection.KeySignature, connection.KeyAuthentication]
    .filter((key) => key !== undefined)
    .map((key) => publicKeyOf(key));
}

/**
 * The key that an entry names as the device's Mesh signature key: where it has no connection to the Mesh, this alone
 * says which administration key is the device's.
 */
function keyNamed(udf: string | undefined, keys: readonly PublicKeyEd448[]): PublicKeyEd448[] {
  return udf === undefined ? [] : keys.filter((key) => isUdf(udf, key.udf));
}

/**
 * The raw keys of an entry that was verified when it was stored: those of its connections, and the one that it names.
 *
 * @throws EncodingError or CryptoError if the octets are no such entry.
 */
export function keysOfDeviceEntry(
  payload: Uint8Array,
  { accountUdf, meshKeys }: Pick<ConnectionAuthority, 'accountUdf' | 'meshKeys'>,
): Uint8Array[] {
  const device = decodeTagged(deviceTags, payload, { form: 'json' }).value;
  const account = device.Accounts?.find(({ AccountUDF: udf }) => udf !== undefined && isUdf(udf, accountUdf));
  const named = keyNamed(device.UDF, meshKeys).map((key) => key.raw);
  const connected = [device.EnvelopedConnectionDevice, account?.EnvelopedConnectionAccount].flatMap((octets) => {
    if (octets?.payload === undefined || octets.payload === null) return [];
    const { value } = decodeTagged(connectionRegistry, octets.payload, { form: 'json' });
    const keys = 'KeySignature' in value ? [value.KeySignature, value.KeyAuthentication] : [];
    return keys.filter((key) => key !== undefined).map((key) => publicKeyOf(key).raw);
  });
  return [...connected, ...named];
}

function permissionsOf({ connection }: VerifiedConnection<ConnectionAccount>): DevicePermission[] {
  return (connection.Permissions ?? []).map(({ Name: name = '', Role: role }) =>
    role === undefined ? { name } : { name, role },
  );
}

function isUdf(text: string, udf: string): boolean {
  try {
    return udfEquals(text, udf);
  } catch {
    return false;
  }
}

/** Whether an error says that octets from outside are wrong, and not that we are. */
export function isBadInput(error: unknown): boolean {
  return error instanceof EncodingError || error instanceof CryptoError || error instanceof MeshError;
}
