import { envelope } from '@meshd/dare/envelope';
import { PublicKeyECDH } from '@meshd/dare/header';
import {
  binary,
  defineObject,
  defineTags,
  type ObjectOf,
  object,
  sequence,
  string,
  type TaggedOf,
  tagged,
} from '@meshd/encoding/codec';

/* Keys (schema 3). */

/** Private key on one of the CFRG curves; `Private` is the seed. */
export const PrivateKeyECDH = defineObject({ name: 'PrivateKeyECDH', fields: { crv: string, Private: binary } });
export type PrivateKeyECDH = ObjectOf<typeof PrivateKeyECDH>;

/** RSA forms occur in old data; they are read and never used. */
export const PublicKeyRSA = defineObject({ name: 'PublicKeyRSA', fields: { n: binary, e: binary } });
export type PublicKeyRSA = ObjectOf<typeof PublicKeyRSA>;

export const PrivateKeyRSA = defineObject({
  name: 'PrivateKeyRSA',
  base: PublicKeyRSA,
  fields: { d: binary, p: binary, q: binary, dp: binary, dq: binary, qi: binary },
});
export type PrivateKeyRSA = ObjectOf<typeof PrivateKeyRSA>;

/** Every key that may stand where the schema says *Key*. */
export const keyRegistry = defineTags('Key', { PublicKeyECDH, PrivateKeyECDH, PublicKeyRSA, PrivateKeyRSA });
export type Key = TaggedOf<typeof keyRegistry>;
const key = tagged(keyRegistry);

/** A public key with its name. `UDF` is a claim until recomputed: `publicKeyOf` of `profile-check`. */
export const PublicKey = defineObject({
  name: 'PublicKey',
  fields: {
    UDF: string,
    X509Certificate: binary,
    X509Chain: sequence(binary),
    X509CSR: binary,
    PublicParameters: key,
    /** Never in anything sent to a service in clear. */
    PrivateParameters: key,
  },
});
export type PublicKey = ObjectOf<typeof PublicKey>;

/** What a device adds to a base key to get a combined key (S13). */
export const KeyOverlay = defineObject({ name: 'KeyOverlay', fields: { UDF: string, BaseUDF: string, Overlay: key } });
export type KeyOverlay = ObjectOf<typeof KeyOverlay>;

export const KeyComposite = defineObject({ name: 'KeyComposite', fields: { Public: key, Part: key, Service: string } });
export type KeyComposite = ObjectOf<typeof KeyComposite>;

export const EscrowedKeySet = defineObject({
  name: 'EscrowedKeySet',
  fields: { MasterSignatureKey: key, MasterEncryptionKey: key, MasterEscrowKeys: sequence(key) },
});
export type EscrowedKeySet = ObjectOf<typeof EscrowedKeySet>;

export const DeviceRecryptionKey = defineObject({
  name: 'DeviceRecryptionKey',
  fields: { UDF: string, RecryptionKey: object(() => PublicKey), EnvelopedRecryptionKeyDevice: envelope },
});
export type DeviceRecryptionKey = ObjectOf<typeof DeviceRecryptionKey>;
