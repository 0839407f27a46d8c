import { envelope } from '@meshd/dare/envelope';
import {
  binary,
  dateTime,
  defineObject,
  defineTags,
  integer,
  type ObjectOf,
  object,
  sequence,
  string,
  tagged,
} from '@meshd/encoding/codec';
import { KeyComposite, KeyOverlay, keyRegistry, PublicKey } from './keys.js';
import { Assertion } from './profiles.js';

/* Connections and activations (schema 5). */

/** A right that a connection gives, or that a contact has. */
export const Permission = defineObject({
  name: 'Permission',
  fields: { Name: string, Role: string, Capabilities: envelope },
});
export type Permission = ObjectOf<typeof Permission>;

/** Says that an authority knows a subject. */
export const Connection = defineObject({
  name: 'Connection',
  base: Assertion,
  fields: { SubjectUDF: string, AuthorityUDF: string },
});
export type Connection = ObjectOf<typeof Connection>;

/** The combined public keys by which a connected device acts. */
const combinedKeys = {
  Permissions: sequence(object(() => Permission)),
  KeySignature: object(() => PublicKey),
  KeyEncryption: object(() => PublicKey),
  KeyAuthentication: object(() => PublicKey),
};

/** A device in a Mesh; signed by an online key of the ProfileMesh. */
export const ConnectionDevice = defineObject({ name: 'ConnectionDevice', base: Connection, fields: combinedKeys });
export type ConnectionDevice = ObjectOf<typeof ConnectionDevice>;

/** A device in an account, what requests of the account carry; signed by an online key of the ProfileAccount. */
export const ConnectionAccount = defineObject({
  name: 'ConnectionAccount',
  base: Connection,
  fields: { ServiceID: sequence(string), ...combinedKeys },
});
export type ConnectionAccount = ObjectOf<typeof ConnectionAccount>;

export const ConnectionService = defineObject({ name: 'ConnectionService', base: Connection, fields: {} });
export type ConnectionService = ObjectOf<typeof ConnectionService>;

/** A host of a service (S26): `ServiceID` are the domains it serves. Signed by a key of the ProfileService. */
export const ConnectionHost = defineObject({
  name: 'ConnectionHost',
  base: Connection,
  fields: {
    ServiceID: sequence(string),
    KeyAuthentication: object(() => PublicKey),
    NotBefore: dateTime,
    NotAfter: dateTime,
  },
});
export type ConnectionHost = ObjectOf<typeof ConnectionHost>;

export const ConnectionApplication = defineObject({ name: 'ConnectionApplication', base: Connection, fields: {} });
export type ConnectionApplication = ObjectOf<typeof ConnectionApplication>;

/** Private data by which a device comes to act for something. */
export const Activation = defineObject({ name: 'Activation', base: Assertion, fields: {} });
export type Activation = ObjectOf<typeof Activation>;

/** One container as last verified: whose history (`Log`), how long, its RFC 6962 root (S45, S47). */
export const ContainerHead = defineObject({
  name: 'ContainerHead',
  fields: { Container: string, Log: binary, Index: integer, Root: binary },
});
export type ContainerHead = ObjectOf<typeof ContainerHead>;

/** An encryption key of the account, private part included, and since when it is in use (S62). */
export const KeyEpoch = defineObject({
  name: 'KeyEpoch',
  fields: { PublicKey: object(() => PublicKey), Since: dateTime },
});
export type KeyEpoch = ObjectOf<typeof KeyEpoch>;

/** Private keys that every administration device of an account holds; at rest, inside an activation alone. */
export const AdministrationKeys = defineObject({
  name: 'AdministrationKeys',
  fields: {
    MeshEncryption: tagged(keyRegistry),
    AccountOffline: tagged(keyRegistry),
    AccountOnline: tagged(keyRegistry),
  },
});
export type AdministrationKeys = ObjectOf<typeof AdministrationKeys>;

/** What a device needs to act for an account; the members after `KeySignature` are ours (schema 13). */
export const ActivationAccount = defineObject({
  name: 'ActivationAccount',
  base: Activation,
  fields: {
    AccountUDF: string,
    KeyGroup: object(() => KeyComposite),
    KeyEncryption: object(() => KeyOverlay),
    KeyAuthentication: object(() => KeyOverlay),
    KeySignature: object(() => KeyOverlay),
    Stores: sequence(object(() => ContainerHead)),
    ServiceUDF: string,
    KeysEncryption: sequence(object(() => KeyEpoch)),
    KeyBlind: binary,
    Administration: object(() => AdministrationKeys),
  },
});
export type ActivationAccount = ObjectOf<typeof ActivationAccount>;

const activationRegistry = defineTags('Activation', { Activation, ActivationAccount });

/** What a device needs to act in a Mesh. */
export const ActivationDevice = defineObject({
  name: 'ActivationDevice',
  base: Assertion,
  fields: {
    EnvelopedAssertionDeviceConnection: envelope,
    Activations: sequence(tagged(activationRegistry)),
    KeySignature: object(() => KeyOverlay),
    KeyEncryption: object(() => KeyOverlay),
    KeyAuthentication: object(() => KeyOverlay),
    PinWitness: binary,
  },
});
export type ActivationDevice = ObjectOf<typeof ActivationDevice>;

/** Payloads that are connections. */
export const connectionRegistry = defineTags('Connection', {
  ConnectionDevice,
  ConnectionAccount,
  ConnectionService,
  ConnectionHost,
  ConnectionApplication,
});
