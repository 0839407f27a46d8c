import {
  dateTime,
  defineObject,
  defineTags,
  type ObjectOf,
  object,
  sequence,
  string,
  tagged,
} from '@meshd/encoding/codec';
import { PublicKey } from './keys.js';

/* Assertions and profiles (schema 4). */

/** Abstract, and nothing concrete was ever defined: any condition is one that we do not understand, so it is refused. */
const conditionRegistry = defineTags('Condition', {});

/** What is said under a signature about keys. */
export const Assertion = defineObject({
  name: 'Assertion',
  fields: { Names: sequence(string), Updated: dateTime, NotaryToken: string, Conditions: tagged(conditionRegistry) },
});
export type Assertion = ObjectOf<typeof Assertion>;

/** Its identifier is the UDF of `KeyOfflineSignature`, for life. */
export const Profile = defineObject({
  name: 'Profile',
  base: Assertion,
  fields: { KeyOfflineSignature: object(() => PublicKey), KeysOnlineSignature: sequence(object(() => PublicKey)) },
});
export type Profile = ObjectOf<typeof Profile>;

/** A person's Mesh (older: ProfileMaster). Its online keys are those of the administration devices. */
export const ProfileMesh = defineObject({
  name: 'ProfileMesh',
  base: Profile,
  fields: { KeysMasterEscrow: sequence(object(() => PublicKey)), KeyEncryption: object(() => PublicKey) },
});
export type ProfileMesh = ObjectOf<typeof ProfileMesh>;

/** A device as made; any change means a new profile. */
export const ProfileDevice = defineObject({
  name: 'ProfileDevice',
  base: Profile,
  fields: { Description: string, KeyEncryption: object(() => PublicKey), KeyAuthentication: object(() => PublicKey) },
});
export type ProfileDevice = ObjectOf<typeof ProfileDevice>;

export const ProfileService = defineObject({
  name: 'ProfileService',
  base: Profile,
  fields: { KeyAuthentication: object(() => PublicKey) },
});
export type ProfileService = ObjectOf<typeof ProfileService>;

export const ProfileHost = defineObject({
  name: 'ProfileHost',
  base: Profile,
  fields: { KeyAuthentication: object(() => PublicKey) },
});
export type ProfileHost = ObjectOf<typeof ProfileHost>;

/** An account (older: AssertionAccount): binds a Mesh to the services that hold it, the first being the primary one. */
export const ProfileAccount = defineObject({
  name: 'ProfileAccount',
  base: Profile,
  fields: { ServiceIDs: sequence(string), MeshProfileUDF: string, KeyEncryption: object(() => PublicKey) },
});
export type ProfileAccount = ObjectOf<typeof ProfileAccount>;

export const ProfileGroup = defineObject({ name: 'ProfileGroup', base: Profile, fields: {} });
export type ProfileGroup = ObjectOf<typeof ProfileGroup>;

/** Payloads that are profiles. */
export const profileRegistry = defineTags('Profile', {
  ProfileMesh,
  ProfileDevice,
  ProfileService,
  ProfileHost,
  ProfileAccount,
  ProfileGroup,
});
