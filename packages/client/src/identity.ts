import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { ConnectionAccount, ConnectionDevice } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { ProfileAccount, ProfileDevice, ProfileMesh } from '@meshd/schema/profiles';
import type { DeviceKeys, KeyName } from './device-keys.js';
import { seedOfMaster } from './master.js';

/**
 * The signed statements that a first device makes once, before it speaks to a service. They are stored as made: a
 * creation that is repeated after a crash must send the same octets.
 */
export interface Identity {
  readonly profileMesh: EnvelopeOctets;
  readonly profileDevice: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
  readonly connectionDevice: EnvelopeOctets;
  readonly connectionAccount: EnvelopeOctets;
  /** UDF of the ProfileMesh, of the ProfileDevice, of the ProfileAccount. */
  readonly meshUdf: string;
  readonly deviceUdf: string;
  readonly accountUdf: string;
}

function publicKey(keys: DeviceKeys, name: KeyName): PublicKey {
  return publicMember(keys.key(name));
}

/** A key as profiles and connections name it. */
export function publicMember({ publicKey: { udf, raw } }: Pick<SigningKey, 'publicKey'>): PublicKey {
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

/** The key that the account's reading keys are escrowed to. */
export function escrowKey(master: Uint8Array): SigningKey {
  return signingKeyFromSeed(seedOfMaster(master, 'escrow'));
}

/** Every statement is a tagged object under an S512 signature; ordinary content type of Mesh objects. */
export function signed(payload: Uint8Array, ...keys: SigningKey[]): EnvelopeOctets {
  return signEnvelope({ payload, contentMeta: { cty: 'application/mmm' }, keys });
}

/**
 * Makes profiles and connections of the first device of `address`.
 *
 * @param address canonical account address
 * @param nowMs becomes `Updated` of all of them
 */
export function makeIdentity(keys: DeviceKeys, address: string, nowMs: number, description: string): Identity {
  const updated = new Date(Math.floor(nowMs / 1000) * 1000);
  const udf = (name: KeyName) => keys.key(name).publicKey.udf;
  const meshUdf = udf('meshOffline');
  const accountUdf = udf('accountOffline');
  const profileMesh: ProfileMesh = {
    Updated: updated,
    KeyOfflineSignature: publicKey(keys, 'meshOffline'),
    KeysOnlineSignature: [publicKey(keys, 'meshOnline')],
    ...(keys.master === undefined ? {} : { KeysMasterEscrow: [publicMember(escrowKey(keys.master))] }),
    KeyEncryption: publicKey(keys, 'meshEncryption'),
  };
  const profileDevice: ProfileDevice = {
    Updated: updated,
    KeyOfflineSignature: publicKey(keys, 'deviceOffline'),
    Description: description,
    KeyEncryption: publicKey(keys, 'deviceEncryption'),
    KeyAuthentication: publicKey(keys, 'deviceAuthentication'),
  };
  const profileAccount: ProfileAccount = {
    Updated: updated,
    KeyOfflineSignature: publicKey(keys, 'accountOffline'),
    KeysOnlineSignature: [publicKey(keys, 'accountOnline')],
    ServiceIDs: [address],
    MeshProfileUDF: meshUdf,
    KeyEncryption: publicKey(keys, 'accountEncryption'),
  };
  const connectionDevice: ConnectionDevice = {
    Updated: updated,
    SubjectUDF: udf('deviceMeshSignature'),
    AuthorityUDF: meshUdf,
    KeySignature: publicKey(keys, 'deviceMeshSignature'),
    KeyEncryption: publicKey(keys, 'deviceMeshEncryption'),
    KeyAuthentication: publicKey(keys, 'deviceMeshAuthentication'),
  };
  const connectionAccount: ConnectionAccount = {
    Updated: updated,
    SubjectUDF: udf('connectionSignature'),
    AuthorityUDF: accountUdf,
    ServiceID: [address],
    KeySignature: publicKey(keys, 'connectionSignature'),
    KeyEncryption: publicKey(keys, 'connectionEncryption'),
    KeyAuthentication: publicKey(keys, 'connectionAuthentication'),
  };
  const key = (name: KeyName) => keys.key(name);
  return {
    profileMesh: signed(encodeTagged(ProfileMesh, profileMesh, 'json'), key('meshOffline')),
    profileDevice: signed(encodeTagged(ProfileDevice, profileDevice, 'json'), key('deviceOffline')),
    // Own signature first: foreign services never see the ProfileMesh and verify that one.
    profileAccount: signed(
      encodeTagged(ProfileAccount, profileAccount, 'json'),
      key('accountOffline'),
      key('meshOnline'),
    ),
    connectionDevice: signed(encodeTagged(ConnectionDevice, connectionDevice, 'json'), key('meshOnline')),
    connectionAccount: signed(encodeTagged(ConnectionAccount, connectionAccount, 'json'), key('accountOnline')),
    meshUdf,
    deviceUdf: udf('deviceOffline'),
    accountUdf,
  };
}

/**
 * The device's own entry for `mmm_Device`, as the tagged object in JSON; it stays in clear (schema 6).
 *
 * @param accountKeys the account's keys, sealed for this device and the escrow
 */
export function deviceEntry(keys: DeviceKeys, identity: Identity, accountKeys?: EnvelopeOctets): Uint8Array {
  const entry: CatalogedDevice = {
    UDF: keys.key('deviceMeshSignature').publicKey.udf,
    DeviceUDF: identity.deviceUdf,
    EnvelopedProfileDevice: identity.profileDevice,
    EnvelopedConnectionDevice: identity.connectionDevice,
    Accounts: [
      {
        AccountUDF: identity.accountUdf,
        EnvelopedProfileAccount: identity.profileAccount,
        EnvelopedConnectionAccount: identity.connectionAccount,
        ...(accountKeys === undefined ? {} : { EnvelopedActivationKeys: accountKeys }),
      },
    ],
  };
  return encodeTagged(CatalogedDevice, entry, 'json');
}
