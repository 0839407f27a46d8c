import { importPublicKey, type PublicKeyEd448 } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { type Curve, udfOfKey } from '@meshd/crypto/key-udf';
import { canonicalName, udfEquals } from '@meshd/crypto/udf';
import { checkPayloadDigest, type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { type VerifiedEnvelope, verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, type ObjectOf, type TaggedOf } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { onlineKeysMax } from '@meshd/limits/limits';
import { canonicalAddress } from './address.js';
import { connectionRegistry } from './connections.js';
import type { PublicKey } from './keys.js';
import { type Profile, type ProfileAccount, profileRegistry } from './profiles.js';
import { MeshError } from './status.js';

/* Which profiles and assertions hold (schema 4, 5; encoding 2.5; S01, S04, S10). */

type TaggedProfile = TaggedOf<typeof profileRegistry>;
export type ProfileTag = TaggedProfile['tag'];
export type ProfileOf<T extends ProfileTag> = Extract<TaggedProfile, { tag: T }>['value'];

type TaggedConnection = TaggedOf<typeof connectionRegistry>;
export type ConnectionTag = TaggedConnection['tag'];
export type ConnectionOf<T extends ConnectionTag> = Extract<TaggedConnection, { tag: T }>['value'];

/** A profile whose own signature holds. */
export interface VerifiedProfile<P> {
  readonly profile: P;
  readonly envelope: VerifiedEnvelope;
  /** Its identity: `KeyOfflineSignature`, imported. Its `udf` names the profile. */
  readonly offlineKey: PublicKeyEd448;
  /** SHA-512 of the payload. */
  readonly payloadDigest: Uint8Array;
}

/** An account assertion that belongs to a Mesh and an address. */
export interface VerifiedAccount extends VerifiedProfile<ProfileAccount> {
  /** Keys of the Mesh that signed it, and the account's own where it did. */
  readonly signers: readonly PublicKeyEd448[];
}

/** A connection signed by an authority that the caller trusts. */
export interface VerifiedConnection<C> {
  readonly connection: C;
  readonly envelope: VerifiedEnvelope;
  /** The authority's key that signed it. */
  readonly signer: PublicKeyEd448;
  readonly payloadDigest: Uint8Array;
}

/**
 * The key that a `PublicKey` holds, after the import check (S10) and after its UDF was recomputed (R305).
 *
 * @throws CryptoError `key-refused` for other than an Ed448 key or a bad one, `udf` if the name is that of another key.
 */
export function publicKeyOf(key: PublicKey): PublicKeyEd448 {
  const parameters = key.PublicParameters;
  if (
    parameters?.tag !== 'PublicKeyECDH' ||
    parameters.value.crv !== 'Ed448' ||
    parameters.value.Public === undefined
  ) {
    throw new CryptoError('key-refused', 'not an Ed448 public key');
  }
  const imported = importPublicKey(parameters.value.Public);
  if (key.UDF !== undefined && !udfEquals(key.UDF, imported.udf)) throw new CryptoError('udf', 'UDF of another key');
  return imported;
}

/**
 * Refuses a `PublicKey` whose UDF is not that of its parameters, without importing it: for keys that are stored now and
 * used by others. Keys of unknown kinds are not judged.
 *
 * @throws CryptoError `udf`.
 */
export function checkKeyName(key: PublicKey): void {
  const parameters = key.PublicParameters;
  if (key.UDF === undefined || parameters?.tag !== 'PublicKeyECDH') return;
  const { crv, Public: raw } = parameters.value;
  if (raw === undefined || !isCurve(crv)) return;
  if (!udfEquals(key.UDF, udfOfKey(crv, raw))) throw new CryptoError('udf', 'UDF of another key');
}

/** The online keys of a profile, imported. Throws as `publicKeyOf`; MeshError if there are too many. */
export function onlineKeysOf(profile: Profile): PublicKeyEd448[] {
  const keys = profile.KeysOnlineSignature ?? [];
  if (keys.length > onlineKeysMax) throw new MeshError('object-signature', 'too many online keys');
  return keys.map(publicKeyOf);
}

/**
 * Verifies a self-signed profile: payload digest, tag, UDFs of its keys, signature by its own `KeyOfflineSignature`.
 * Whether it is the right profile is for the caller to say.
 *
 * @throws MeshError `malformed`, `payload-digest` or `object-signature`.
 */
export async function verifyProfile<T extends ProfileTag>(
  octets: EnvelopeOctets,
  tag: T,
): Promise<VerifiedProfile<ProfileOf<T>>> {
  return refusedAs(tag, async () => {
    const opened = openEnvelope(octets);
    const profile = readProfile(opened, tag);
    const offlineKey = publicKeyOf(profile.KeyOfflineSignature ?? {});
    const { envelope, payloadDigest } = await verifyEnvelope(opened, (kid) => named(kid, [offlineKey]));
    checkKeyNames(profile);
    return { profile, envelope, offlineKey, payloadDigest };
  });
}

/**
 * Verifies that an account assertion belongs to a Mesh and an address (schema 4, semantics 6.2): signed by an online key of
 * the ProfileMesh or its offline key, its own signature valid if there, `MeshProfileUDF` that of the Mesh, `ServiceIDs`
 * holding the address. A signature by its own key alone is not enough: anybody could bind a foreign Mesh.
 *
 * @param mesh the verified ProfileMesh.
 * @param address the address asked for.
 * @throws MeshError `malformed`, `payload-digest` or `object-signature`.
 */
export async function verifyAccountAssertion(
  octets: EnvelopeOctets,
  mesh: Pick<VerifiedProfile<Profile>, 'profile' | 'offlineKey'>,
  address: string,
): Promise<VerifiedAccount> {
  return refusedAs('ProfileAccount', async () => {
    const opened = openEnvelope(octets);
    const profile = readProfile(opened, 'ProfileAccount');
    const meshKeys = [...onlineKeysOf(mesh.profile), mesh.offlineKey];
    const offlineKey = publicKeyOf(profile.KeyOfflineSignature ?? {});
    const verified = await verifyEnvelope(opened, (kid) => named(kid, [...meshKeys, offlineKey]));
    const byMesh = verified.signers.some((signer) => meshKeys.some((key) => key.equals(signer)));
    if (!byMesh) throw new MeshError('object-signature', 'ProfileAccount is not signed by a key of the ProfileMesh');
    checkRelation(profile, mesh.offlineKey, address);
    checkKeyNames(profile);
    const { envelope, payloadDigest, signers } = verified;
    return { profile, envelope, offlineKey, payloadDigest, signers };
  });
}

/**
 * Verifies a connection assertion: tag, and a signature by one of the authority's keys.
 *
 * @param authorityKeys ConnectionAccount: online keys of the stored ProfileAccount; ConnectionDevice: those of the
 *   ProfileMesh; ConnectionHost: keys of the ProfileService (S24, S26).
 * @throws MeshError `malformed`, `payload-digest` or `object-signature`.
 */
export async function verifyConnection<T extends ConnectionTag>(
  octets: EnvelopeOctets,
  tag: T,
  authorityKeys: readonly PublicKeyEd448[],
): Promise<VerifiedConnection<ConnectionOf<T>>> {
  return refusedAs(tag, async () => {
    const opened = openEnvelope(octets);
    const { envelope, signers, payloadDigest } = await verifyEnvelope(opened, (kid) => named(kid, authorityKeys));
    const decoded = decodeTagged(connectionRegistry, envelope.payload, { form: 'json', refuseRepeated: true });
    if (decoded.tag !== tag) throw new MeshError('object-signature', `the payload is no ${tag}`);
    return {
      connection: decoded.value as ConnectionOf<T>,
      envelope,
      signer: signers[0] as PublicKeyEd448,
      payloadDigest,
    };
  });
}

/**
 * As `verifyConnection` for a `ConnectionAccount`, and that it is one of this account: `AuthorityUDF` and `ServiceID` are
 * those of the account where they are stated, and both keys by which the device acts are there.
 *
 * @throws MeshError `malformed`, `payload-digest` or `object-signature`.
 */
export async function verifyConnectionAccount(
  octets: EnvelopeOctets,
  account: {
    readonly udf: string;
    readonly address?: string | undefined;
    readonly onlineKeys: readonly PublicKeyEd448[];
  },
): Promise<
  VerifiedConnection<ConnectionOf<'ConnectionAccount'>> & {
    readonly keyAuthentication: PublicKeyEd448;
    readonly keySignature: PublicKeyEd448;
  }
> {
  return refusedAs('ConnectionAccount', async () => {
    const verified = await verifyConnection(octets, 'ConnectionAccount', account.onlineKeys);
    const { AuthorityUDF: authority, ServiceID: addresses = [], KeyAuthentication, KeySignature } = verified.connection;
    if (authority !== undefined && !udfEquals(authority, account.udf)) {
      throw new MeshError('object-signature', 'ConnectionAccount is that of another account');
    }
    const isElsewhere =
      account.address !== undefined && addresses.length > 0 && !holdsAddress(addresses, account.address);
    if (isElsewhere) {
      throw new MeshError('object-signature', 'ConnectionAccount is for other addresses');
    }
    const keyAuthentication = publicKeyOf(KeyAuthentication ?? {});
    return { ...verified, keyAuthentication, keySignature: publicKeyOf(KeySignature ?? {}) };
  });
}

function readProfile<T extends ProfileTag>(opened: DareEnvelope, tag: T): ProfileOf<T> {
  // before anything is made of it, so that damage is told from a foreign object
  checkPayloadDigest(opened);
  if (opened.payload === null) throw new DareError('redacted', 'the payload was left out');
  const decoded = decodeTagged(profileRegistry, opened.payload, { form: 'json', refuseRepeated: true });
  if (decoded.tag !== tag) throw new MeshError('object-signature', `the payload is no ${tag}`);
  return decoded.value as ProfileOf<T>;
}

function checkRelation(account: ProfileAccount, meshKey: PublicKeyEd448, address: string): void {
  if (account.MeshProfileUDF === undefined || !udfEquals(account.MeshProfileUDF, meshKey.udf)) {
    throw new MeshError('object-signature', 'MeshProfileUDF is not the UDF of the ProfileMesh');
  }
  if (!holdsAddress(account.ServiceIDs ?? [], address)) {
    throw new MeshError('object-signature', 'ServiceIDs does not hold the address');
  }
}

/** Compared in canonical form; an entry that is no address is no match, since others may stand beside it. */
function holdsAddress(texts: readonly string[], address: string): boolean {
  const wanted = canonicalAddress(address);
  return texts.some((text) => {
    try {
      return canonicalAddress(text) === wanted;
    } catch {
      return false;
    }
  });
}

/** The key of that name. A name only finds a candidate; the key object is what was imported from raw octets (S04). */
function named(kid: string, keys: readonly PublicKeyEd448[]): PublicKeyEd448 | undefined {
  const name = canonicalName(kid);
  return keys.find((key) => key.udf === name);
}

function checkKeyNames(profile: Profile): void {
  for (const member of Object.values(profile)) {
    for (const key of Array.isArray(member) ? member : [member]) {
      if (isPublicKey(key)) checkKeyName(key);
    }
  }
}

function isPublicKey(value: unknown): value is ObjectOf<typeof PublicKey> {
  return typeof value === 'object' && value !== null && 'PublicParameters' in value;
}

function isCurve(name: string | undefined): name is Curve {
  return name === 'Ed448' || name === 'Ed25519' || name === 'X448' || name === 'X25519';
}

/** Turns the errors of the layers below into refusals; what they say is about the object, so it may go to the peer. */
export async function refusedAs<T>(what: string, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof EncodingError) throw new MeshError('malformed', `${what}: ${error.message}`, { cause: error });
    if (error instanceof CryptoError || error instanceof DareError) {
      const code = error.code === 'payload-digest' ? 'payload-digest' : 'object-signature';
      throw new MeshError(code, `${what}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
