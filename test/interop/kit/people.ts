/** Meshes, accounts and devices: their keys, profiles and connections (schema 4, 5; security S01). */
import { dateTime, signObject, tagged, type Wire } from './dare.js';
import { type Key, newKey, publicKey } from './keys.js';

/** A device and its connection to an account. */
export interface Device {
  readonly offline: Key;
  readonly baseAuthentication: Key;
  readonly profile: Wire;
  /** Keys of the connection. */
  readonly signature: Key;
  readonly authentication: Key;
  readonly encryption: Key;
  readonly connection: Wire;
  readonly connectionDevice: Wire;
}

/** A Mesh with one account, as the owner has it: every key at hand. */
export interface Person {
  readonly address: string;
  readonly meshOffline: Key;
  readonly meshOnline: Key;
  readonly accountOffline: Key;
  readonly accountOnline: Key;
  readonly accountEncryption: Key;
  readonly profileMesh: Wire;
  readonly profileAccount: Wire;
}

export interface PersonChoices {
  readonly mesh?: Pick<Person, 'meshOffline' | 'meshOnline' | 'profileMesh'>;
  readonly addresses?: readonly string[];
  readonly meshUdf?: string;
  readonly signers?: (keys: Omit<Person, 'profileAccount' | 'address'>) => readonly Key[];
}

export function newMesh(nowMs: number): Pick<Person, 'meshOffline' | 'meshOnline' | 'profileMesh'> {
  const [meshOffline, meshOnline] = [newKey(), newKey()];
  return { meshOffline, meshOnline, profileMesh: profileMesh(meshOffline, [meshOnline], nowMs) };
}

export function profileMesh(offline: Key, online: readonly Key[], nowMs: number): Wire {
  const members = {
    Updated: dateTime(nowMs),
    KeyOfflineSignature: publicKey(offline),
    KeysOnlineSignature: online.map(publicKey),
    KeyEncryption: publicKey(newKey()),
  };
  return signObject(tagged('ProfileMesh', members), [offline]);
}

export function newPerson(address: string, nowMs = Date.now(), choices: PersonChoices = {}): Person {
  const mesh = choices.mesh ?? newMesh(nowMs);
  const keys = { ...mesh, accountOffline: newKey(), accountOnline: newKey(), accountEncryption: newKey() };
  return { address, ...keys, profileAccount: profileAccount(address, keys, nowMs, choices) };
}

/** ProfileAccount: own key first, then the Mesh's. */
export function profileAccount(
  address: string,
  keys: Omit<Person, 'profileAccount' | 'address'>,
  nowMs: number,
  choices: PersonChoices = {},
): Wire {
  const members = {
    Updated: dateTime(nowMs),
    KeyOfflineSignature: publicKey(keys.accountOffline),
    KeysOnlineSignature: [publicKey(keys.accountOnline)],
    ServiceIDs: choices.addresses ?? [address],
    MeshProfileUDF: choices.meshUdf ?? keys.meshOffline.udf,
    KeyEncryption: publicKey(keys.accountEncryption),
  };
  const signers = choices.signers?.(keys) ?? [keys.accountOffline, keys.meshOnline];
  return signObject(tagged('ProfileAccount', members), signers);
}

/** What a device may be told apart by, in tests. */
export interface DeviceChoices {
  readonly permissions?: readonly { Name: string; Role?: string }[];
  readonly connectionSigner?: Key;
  /** Another connection for a device that exists. */
  readonly of?: Device;
  readonly deviceUdf?: string;
}

export function newDevice(person: Person, nowMs = Date.now(), choices: DeviceChoices = {}): Device {
  const [offline, baseAuthentication] = choices.of
    ? [choices.of.offline, choices.of.baseAuthentication]
    : [newKey(), newKey()];
  const profile =
    choices.of?.profile ??
    signObject(
      tagged('ProfileDevice', {
        Updated: dateTime(nowMs),
        KeyOfflineSignature: publicKey(offline),
        Description: 'A device of the conformance suite',
        KeyEncryption: publicKey(newKey()),
        KeyAuthentication: publicKey(baseAuthentication),
      }),
      [offline],
    );
  const [signature, authentication, encryption] = choices.of
    ? [choices.of.signature, choices.of.authentication, choices.of.encryption]
    : [newKey(), newKey(), newKey()];
  const keys = {
    KeySignature: publicKey(signature),
    KeyEncryption: publicKey(encryption),
    KeyAuthentication: publicKey(authentication),
  };
  const permissions = choices.permissions === undefined ? {} : { Permissions: choices.permissions };
  const connection = signObject(
    tagged('ConnectionAccount', {
      Updated: dateTime(nowMs),
      SubjectUDF: signature.udf,
      AuthorityUDF: person.accountOffline.udf,
      ServiceID: [person.address],
      ...permissions,
      ...keys,
    }),
    [choices.connectionSigner ?? person.accountOnline],
  );
  const connectionDevice = signObject(
    tagged('ConnectionDevice', {
      Updated: dateTime(nowMs),
      SubjectUDF: signature.udf,
      AuthorityUDF: person.meshOffline.udf,
      ...keys,
    }),
    [person.meshOnline],
  );
  return { offline, baseAuthentication, profile, signature, authentication, encryption, connection, connectionDevice };
}

/** The entry of the device catalog (schema 6). */
export const catalogedDevice = (person: Person, device: Device): Uint8Array =>
  tagged('CatalogedDevice', {
    UDF: device.signature.udf,
    DeviceUDF: device.offline.udf,
    EnvelopedProfileDevice: device.profile,
    EnvelopedConnectionDevice: device.connectionDevice,
    Accounts: [
      {
        AccountUDF: person.accountOffline.udf,
        EnvelopedProfileAccount: person.profileAccount,
        EnvelopedConnectionAccount: device.connection,
      },
    ],
  });
