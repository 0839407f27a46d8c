import { constantTimeEqual } from '@meshd/crypto/digest';
import { type PublicKeyEd448, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import { udfEquals } from '@meshd/crypto/udf';
import { decryptEnvelope } from '@meshd/dare/decrypt';
import { digestOf, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags, type ObjectTable } from '@meshd/encoding/codec';
import type { CatalogedDevice } from '@meshd/schema/catalog';
import { ActivationAccount, ActivationDevice, type ContainerHead, type KeyEpoch } from '@meshd/schema/connections';
import type { KeyOverlay, PublicKey } from '@meshd/schema/keys';
import {
  onlineKeysOf,
  publicKeyOf,
  verifyAccountAssertion,
  verifyConnection,
  verifyConnectionAccount,
  verifyProfile,
} from '@meshd/schema/profile-check';
import { administrationSecrets, epochsOf } from '../account-keys.js';
import { type AccountEpoch, type DeviceKeys, deviceKeysOf, type KeyName, type KeySecret } from '../device-keys.js';
import { decodeDeviceEntry } from '../entitlement.js';
import { ClientError } from '../errors.js';
import type { Identity } from '../identity.js';
import { combineOverlay } from './overlay.js';
import { checkPinWitness } from './pin.js';
import type { MeshParts } from './transcript.js';

/** The base keys of a device. */
export interface BaseSeeds {
  readonly offline: Uint8Array;
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
}

/** The base keys of a device that asks, and the key that it drew for this request. */
export interface AskingSeeds extends BaseSeeds {
  /** Undefined where it asks as old devices do: the answer then comes under its base key (S53). */
  readonly client: Uint8Array | undefined;
}

/** What a device has asked, and of whom: those whose profiles went into the code or the PIN's proof. */
export interface Asked {
  /** Canonical address of the account. */
  readonly address: string;
  readonly seeds: AskingSeeds;
  readonly profileDevice: EnvelopeOctets;
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
  /** Gives the `PinWitness` that is due (S54); undefined where no PIN was used. */
  readonly pinWitness?: ((connectionDeviceDigest: Uint8Array, mesh: MeshParts) => Uint8Array) | undefined;
}

/** A device that is connected. */
export interface Accepted {
  readonly keys: DeviceKeys;
  readonly identity: Identity;
  readonly stores: readonly ContainerHead[];
  readonly serviceUdf: string | undefined;
}

/**
 * Checks the entry that connects this device, before anything of it is used or kept (semantics 7.5, S51, S52, S54): that it
 * is this device's, that connections and activations were signed by the Mesh and the account that were asked, that the PIN
 * is proven where there was one, and that the halves of the keys add up to those of the connections.
 *
 * The activations are encrypted to the request's own key: whoever knows the device's base keys opens nothing, except where the
 * device has asked as old ones do.
 *
 * @param body of the entry, as `Complete` brought it
 * @throws ClientError `connect`
 */
export async function acceptEntry(body: Uint8Array, asked: Asked): Promise<Accepted> {
  try {
    return await accepted(decodeDeviceEntry(body), asked);
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('connect', `the connection is refused: ${(cause as Error).message}`, { cause });
  }
}

async function accepted(entry: CatalogedDevice, asked: Asked): Promise<Accepted> {
  const mesh = await verifyProfile(asked.profileMesh, 'ProfileMesh');
  const account = await verifyAccountAssertion(asked.profileAccount, mesh, asked.address);
  const device = await verifyProfile(asked.profileDevice, 'ProfileDevice');
  requireOwnProfile(entry, asked.profileDevice, device.offlineKey);
  const meshKeys = [...onlineKeysOf(mesh.profile), mesh.offlineKey];
  const accountUdf = account.offlineKey.udf;
  const part = entry.Accounts?.find(({ AccountUDF: udf }) => udf !== undefined && udfEquals(udf, accountUdf));
  if (part === undefined) throw refused('it is not for the account that was asked');
  const connectionDevice = required(entry.EnvelopedConnectionDevice, 'ConnectionDevice');
  const connectionAccount = required(part.EnvelopedConnectionAccount, 'ConnectionAccount');
  const inMesh = await verifyConnection(connectionDevice, 'ConnectionDevice', meshKeys);
  const accountKeys = onlineKeysOf(account.profile);
  const authority = { udf: accountUdf, address: asked.address, onlineKeys: accountKeys };
  const inAccount = await verifyConnectionAccount(connectionAccount, authority);
  const activationDevice = await openActivation(ActivationDevice, entry.EnvelopedActivationDevice, meshKeys, asked);
  const parts = {
    meshFingerprint: fingerprint64('Ed448', mesh.offlineKey.raw),
    ...{ profileMeshDigest: mesh.payloadDigest, profileAccountDigest: account.payloadDigest },
  };
  requirePin(activationDevice, connectionDevice, parts, asked);
  const activationAccount = await openActivation(
    ActivationAccount,
    part.EnvelopedActivationAccount,
    accountKeys,
    asked,
  );
  const secrets = new Map<KeyName, KeySecret>([
    ['deviceOffline', asked.seeds.offline],
    ['deviceEncryption', asked.seeds.encryption],
    ['deviceAuthentication', asked.seeds.authentication],
    ...combined(asked.seeds, activationDevice, inMesh.connection, meshNames),
    ...combined(asked.seeds, activationAccount, inAccount.connection, accountNames),
    ...administrationOf(activationAccount),
  ]);
  const held = deviceKeysOf(
    secrets,
    required(activationAccount.KeyBlind, 'KeyBlind'),
    readingEpochs(activationAccount.KeysEncryption, account.profile.KeyEncryption),
  );
  const { profileMesh, profileDevice, profileAccount } = asked;
  const identity: Identity = {
    ...{ profileMesh, profileDevice, profileAccount, connectionDevice, connectionAccount },
    ...{ meshUdf: mesh.offlineKey.udf, deviceUdf: device.offlineKey.udf, accountUdf },
  };
  return {
    keys: activationAccount.Administration === undefined ? held : held.changed({ administers: true }),
    identity,
    stores: activationAccount.Stores ?? [],
    serviceUdf: activationAccount.ServiceUDF,
  };
}

const meshNames = ['deviceMeshSignature', 'deviceMeshEncryption', 'deviceMeshAuthentication'] as const;
const accountNames = ['connectionSignature', 'connectionEncryption', 'connectionAuthentication'] as const;

function requireOwnProfile(entry: CatalogedDevice, profile: EnvelopeOctets, offlineKey: PublicKeyEd448): void {
  const given = required(entry.EnvelopedProfileDevice, 'ProfileDevice');
  const isOwn = entry.DeviceUDF !== undefined && udfEquals(entry.DeviceUDF, offlineKey.udf);
  const nothing = new Uint8Array(0);
  if (isOwn && constantTimeEqual(digestOf(given.payload ?? nothing), digestOf(profile.payload ?? nothing))) return;
  throw refused('it is that of another device');
}

/** Signature first, then decryption (S52). */
async function openActivation<T>(
  table: ObjectTable<T>,
  octets: EnvelopeOctets | undefined,
  signers: readonly PublicKeyEd448[],
  { seeds }: Asked,
): Promise<T> {
  const opened = openEnvelope(required(octets, table.name));
  const { envelope } = await verifyEnvelope(opened, (kid) => signers.find(({ udf }) => udfEquals(udf, kid)));
  const reader = decryptionKeyFromSeed('Ed448', seeds.client ?? seeds.encryption);
  const { plain } = decryptEnvelope(envelope, reader, 'signature');
  return decodeTagged(defineTags('activation', { [table.name]: table }), plain, { form: 'json', refuseRepeated: true })
    .value as T;
}

function requirePin(
  { PinWitness }: ActivationDevice,
  connection: EnvelopeOctets,
  mesh: MeshParts,
  { pinWitness }: Asked,
): void {
  if (pinWitness === undefined) return;
  checkPinWitness(PinWitness, pinWitness(digestOf(connection.payload ?? new Uint8Array(0)), mesh));
}

type Names = readonly [signature: KeyName, encryption: KeyName, authentication: KeyName];

interface Halves {
  readonly KeySignature?: KeyOverlay | undefined;
  readonly KeyEncryption?: KeyOverlay | undefined;
  readonly KeyAuthentication?: KeyOverlay | undefined;
}

interface Sums {
  readonly KeySignature?: PublicKey | undefined;
  readonly KeyEncryption?: PublicKey | undefined;
  readonly KeyAuthentication?: PublicKey | undefined;
}

function combined(seeds: BaseSeeds, halves: Halves, sums: Sums, names: Names): [KeyName, KeySecret][] {
  const one = (seed: Uint8Array, half: KeyOverlay | undefined, sum: PublicKey | undefined) =>
    combineOverlay(seed, half, publicKeyOf(sum ?? {}));
  return [
    [names[0], one(seeds.offline, halves.KeySignature, sums.KeySignature)],
    [names[1], one(seeds.encryption, halves.KeyEncryption, sums.KeyEncryption)],
    [names[2], one(seeds.authentication, halves.KeyAuthentication, sums.KeyAuthentication)],
  ];
}

function administrationOf({ Administration: members }: ActivationAccount): Iterable<[KeyName, KeySecret]> {
  return members === undefined ? [] : administrationSecrets(members);
}

/** The keys that the account reads with; the profile's is among them: what is encrypted to it must open here (S62). */
function readingEpochs(members: readonly KeyEpoch[] | undefined, current: PublicKey | undefined): AccountEpoch[] {
  const { udf } = publicKeyOf(current ?? {});
  const epochs = epochsOf(members);
  if (epochs.some(({ seed }) => signingKeyFromSeed(seed).publicKey.udf === udf)) return epochs;
  throw refused('it lacks the key that the account reads with');
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw refused(`${name} is missing`);
  return value;
}

function refused(why: string): ClientError {
  return new ClientError('connect', `the connection is refused: ${why}`);
}
