import type { PublicKeyEd448, SigningKey } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { encryptEnvelope } from '@meshd/dare/encrypt';
import { digestOf, type EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import type { VerifiedConnectionRequest } from '@meshd/schema/connection-check';
import {
  ActivationAccount,
  ActivationDevice,
  type AdministrationKeys,
  ConnectionAccount,
  ConnectionDevice,
  type ContainerHead,
  type KeyEpoch,
  type Permission,
} from '@meshd/schema/connections';
import { itemContentType } from '@meshd/schema/container-name';
import type { PublicKey } from '@meshd/schema/keys';
import { publicKeyOf } from '@meshd/schema/profile-check';
import type { Identity } from '../identity.js';
import { type MadeOverlay, makeOverlay } from './overlay.js';

/** Who connects the device. */
export interface Administrator {
  readonly identity: Identity;
  /** Canonical address of the account. */
  readonly address: string;
  /** All addresses of the account, that one among them; it alone where absent. */
  readonly addresses?: readonly string[] | undefined;
  /** Online keys of the Mesh and of the account. */
  readonly meshOnline: SigningKey;
  readonly accountOnline: SigningKey;
}

/** What the device is given. */
export interface Granted {
  /** Empty: every store, and no administration. */
  readonly permissions: readonly Permission[];
  /** Keys that the account's data is encrypted to, with their private parts, newest first (S62). */
  readonly epochs: readonly KeyEpoch[];
  /** For a device that is to administer: the keys that every such device holds. */
  readonly administration?: AdministrationKeys | undefined;
  readonly keyBlind: Uint8Array;
  /** What the administrator has verified of every store (S47). */
  readonly stores: readonly ContainerHead[];
  /** UDF of the ProfileService, so that the device need not trust on first use (S26). */
  readonly serviceUdf: string;
}

/** Clock, randomness, and what a PIN proves to the device. */
export interface GrantOptions {
  readonly nowMs: number;
  readonly random: Random;
  /** Gives `PinWitness` over the digest of the ConnectionDevice (S54); undefined where no PIN was used. */
  readonly pinWitness?: ((connectionDeviceDigest: Uint8Array) => Uint8Array) | undefined;
}

/** Second halves of the three keys by which a device acts, in one of its roles. */
interface Overlays {
  readonly signature: MadeOverlay;
  readonly encryption: MadeOverlay;
  readonly authentication: MadeOverlay;
}

/**
 * The entry of the device catalog that connects a device (semantics 7.2, 7.5): fresh second halves of its keys, for the Mesh
 * and for the account; the sums in two connections, in clear; the halves in two activations, encrypted to the key that the
 * device drew for this request alone (S52), each signed by an online key.
 *
 * @param request verified; a request of an old device, without such a key, gets its activations under its base key
 * @returns the body of the entry, filed under `DeviceUDF`, and the key by which the device signs in the Mesh
 */
export function grantDevice(
  request: VerifiedConnectionRequest,
  administrator: Administrator,
  granted: Granted,
  options: GrantOptions,
): { readonly deviceUdf: string; readonly body: Uint8Array; readonly meshKey: PublicKeyEd448 } {
  const { identity } = administrator;
  const { profile, offlineKey } = request.profile;
  const deviceUdf = offlineKey.udf;
  const [mesh, account] = [overlaysOf(request, options.random), overlaysOf(request, options.random)];
  const updated = new Date(Math.floor(options.nowMs / 1000) * 1000);
  const connectionDevice = signed(
    ConnectionDevice,
    connectionOf(mesh, identity.meshUdf, updated),
    administrator.meshOnline,
  );
  const connectionAccount = signed(
    ConnectionAccount,
    {
      ...connectionOf(account, identity.accountUdf, updated),
      ServiceID: [...(administrator.addresses ?? [administrator.address])],
      ...(granted.permissions.length === 0 ? {} : { Permissions: [...granted.permissions] }),
    },
    administrator.accountOnline,
  );
  const reader = request.commitment?.clientKey ?? publicKeyOf(profile.KeyEncryption ?? {});
  const pinWitness = options.pinWitness?.(digestOf(connectionDevice.payload ?? new Uint8Array(0)));
  const activationDevice: ActivationDevice = {
    EnvelopedAssertionDeviceConnection: connectionDevice,
    ...activationOf(mesh),
    ...(pinWitness === undefined ? {} : { PinWitness: pinWitness }),
  };
  const activationAccount: ActivationAccount = {
    ...{ AccountUDF: identity.accountUdf, ServiceUDF: granted.serviceUdf, ...activationOf(account) },
    ...{ Stores: [...granted.stores], KeysEncryption: [...granted.epochs], KeyBlind: granted.keyBlind },
    ...(granted.administration === undefined ? {} : { Administration: granted.administration }),
  };
  const entry: CatalogedDevice = {
    UDF: mesh.signature.combined.udf,
    DeviceUDF: deviceUdf,
    EnvelopedProfileDevice: profile && request.request.EnvelopedProfileDevice,
    EnvelopedConnectionDevice: connectionDevice,
    EnvelopedActivationDevice: sealed(
      ActivationDevice,
      activationDevice,
      reader,
      administrator.meshOnline,
      options.random,
    ),
    Accounts: [
      {
        AccountUDF: identity.accountUdf,
        EnvelopedProfileAccount: identity.profileAccount,
        EnvelopedConnectionAccount: connectionAccount,
        EnvelopedActivationAccount: sealed(
          ActivationAccount,
          activationAccount,
          reader,
          administrator.accountOnline,
          options.random,
        ),
      },
    ],
  };
  return { deviceUdf, body: encodeTagged(CatalogedDevice, entry, 'json'), meshKey: mesh.signature.combined };
}

function overlaysOf(
  { profile: { profile, offlineKey }, keyAuthentication }: VerifiedConnectionRequest,
  random: Random,
) {
  return {
    signature: makeOverlay(offlineKey, random),
    encryption: makeOverlay(publicKeyOf(profile.KeyEncryption ?? {}), random),
    authentication: makeOverlay(keyAuthentication, random),
  };
}

function connectionOf({ signature, encryption, authentication }: Overlays, authorityUdf: string, updated: Date) {
  return {
    Updated: updated,
    SubjectUDF: signature.combined.udf,
    AuthorityUDF: authorityUdf,
    KeySignature: publicMember(signature.combined),
    KeyEncryption: publicMember(encryption.combined),
    KeyAuthentication: publicMember(authentication.combined),
  };
}

function activationOf({ signature, encryption, authentication }: Overlays) {
  return {
    KeySignature: signature.overlay,
    KeyEncryption: encryption.overlay,
    KeyAuthentication: authentication.overlay,
  };
}

function publicMember({ udf, raw }: PublicKeyEd448): PublicKey {
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

function signed<T>(table: ObjectTable<T>, value: T, key: SigningKey): EnvelopeOctets {
  return signEnvelope({ payload: encodeTagged(table, value, 'json'), contentType: itemContentType, keys: [key] });
}

function sealed<T>(
  table: ObjectTable<T>,
  value: T,
  to: PublicKeyEd448,
  key: SigningKey,
  random: Random,
): EnvelopeOctets {
  const plain = encodeTagged(table, value, 'json');
  return encryptEnvelope({ plain, recipients: [to], random, pad: true, contentType: itemContentType, keys: [key] });
}
