import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import type { Random } from '@meshd/crypto/random';
import { digestOf, type EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { connectNonceBytes } from '@meshd/schema/connection-check';
import { itemContentType } from '@meshd/schema/container-name';
import type { PublicKey } from '@meshd/schema/keys';
import { RequestConnection } from '@meshd/schema/messages-mesh';
import { verifyAccountAssertion, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileDevice } from '@meshd/schema/profiles';
import type { AskingSeeds, BaseSeeds } from './acceptance.js';
import { pinUdf, type StretchedPin } from './pin.js';
import {
  clientCommit,
  type MeshParts,
  pinnedDigest,
  type RequestParts,
  requestDigest,
  revealNonceBytes,
} from './transcript.js';

/* What a device sends that wants to be connected (S50), and what both ends compute from the profiles that they verified. */

/** A request, and the secrets behind it. */
export interface MadeRequest {
  readonly seeds: AskingSeeds;
  readonly profileDevice: EnvelopeOctets;
  readonly deviceUdf: string;
  readonly clientNonce: Uint8Array;
  /** Undefined where the device asks as old ones do, which commit to nothing (S53). */
  readonly commitment: Commitment | undefined;
  /** The RequestConnection, signed. */
  readonly message: EnvelopeOctets;
}

/** What a device commits to (S50). */
export interface Commitment {
  /** rD: shown to nobody before the administrator has challenged (S53). */
  readonly revealNonce: Uint8Array;
  /** RC and `ClientCommit`. */
  readonly request: Uint8Array;
  readonly commit: Uint8Array;
}

/** What a request is made of. */
export interface RequestOptions {
  /** Canonical address of the account. */
  readonly address: string;
  /** Base keys of the device; drawn where it has none yet. */
  readonly seeds?: BaseSeeds | undefined;
  /** Made of those keys before; made anew where absent. */
  readonly profileDevice?: EnvelopeOctets | undefined;
  /** Ask as old devices do: nothing is committed to, and the answer comes under the base key. */
  readonly isUncommitted?: boolean | undefined;
  /** Shown to the administrator. */
  readonly description: string;
  /** As stretched for this account; undefined without a PIN. */
  readonly pin?: StretchedPin | undefined;
  readonly nowMs: number;
  readonly random: Random;
}

/** Base keys for a device. */
export function makeBaseSeeds(random: Random): BaseSeeds {
  const seed = () => generateSeed(random);
  return { offline: seed(), encryption: seed(), authentication: seed() };
}

/** The profile of a device: what it was made with, signed by itself. */
export function makeProfileDevice(seeds: BaseSeeds, description: string, nowMs: number): EnvelopeOctets {
  const profile: ProfileDevice = {
    Updated: new Date(Math.floor(nowMs / 1000) * 1000),
    KeyOfflineSignature: publicMember(seeds.offline),
    Description: description,
    KeyEncryption: publicMember(seeds.encryption),
    KeyAuthentication: publicMember(seeds.authentication),
  };
  const payload = encodeTagged(ProfileDevice, profile, 'json');
  return signEnvelope({ payload, contentType: itemContentType, keys: [signingKeyFromSeed(seeds.offline)] });
}

/** Makes a request: fresh nonces, a fresh key for the answer, and base keys where there are none. */
export function makeRequest(options: RequestOptions): MadeRequest {
  const { address, random, pin } = options;
  const base = options.seeds ?? makeBaseSeeds(random);
  const client = options.isUncommitted === true ? undefined : generateSeed(random);
  const profileDevice = options.profileDevice ?? makeProfileDevice(base, options.description, options.nowMs);
  const clientNonce = random(connectNonceBytes);
  const offline = signingKeyFromSeed(base.offline);
  const parts = {
    account: address,
    deviceFingerprint: fingerprint64('Ed448', offline.publicKey.raw),
    profileDeviceDigest: digestOf(profileDevice.payload ?? new Uint8Array(0)),
    clientNonce,
  };
  const commitment = client && committed(parts, client, random);
  const body: RequestConnection = {
    ServiceID: address,
    EnvelopedProfileDevice: profileDevice,
    ClientNonce: clientNonce,
    ...(client && commitment && { ClientKey: publicMember(client), ClientCommit: commitment.commit }),
    ...(pin && commitment && { PinUDF: pinUdf(pin, pinnedDigest(commitment.request, commitment.commit)) }),
  };
  const message = signEnvelope({
    payload: encodeTagged(RequestConnection, body, 'json'),
    contentMeta: { MessageType: RequestConnection.name, cty: itemContentType },
    keys: [offline],
  });
  const { udf: deviceUdf } = offline.publicKey;
  return { seeds: { ...base, client }, profileDevice, deviceUdf, clientNonce, commitment, message };
}

function committed(parts: Omit<RequestParts, 'clientKey'>, client: Uint8Array, random: Random): Commitment {
  const request = requestDigest({ ...parts, clientKey: signingKeyFromSeed(client).publicKey.raw });
  const revealNonce = random(revealNonceBytes);
  return { revealNonce, request, commit: clientCommit(request, revealNonce) };
}

function publicMember(seed: Uint8Array): PublicKey {
  const { udf, raw } = signingKeyFromSeed(seed).publicKey;
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
}

/** A Mesh and an account that were verified. */
export interface VerifiedMeshParts extends MeshParts {
  readonly meshUdf: string;
}

/**
 * The Mesh and the account, as their profiles prove them.
 *
 * @throws MeshError for profiles that do not hold, or do not belong together
 */
export async function meshPartsOf(
  profileMesh: EnvelopeOctets,
  profileAccount: EnvelopeOctets,
  address: string,
): Promise<VerifiedMeshParts> {
  const mesh = await verifyProfile(profileMesh, 'ProfileMesh');
  const account = await verifyAccountAssertion(profileAccount, mesh, address);
  return {
    meshUdf: mesh.offlineKey.udf,
    meshFingerprint: fingerprint64('Ed448', mesh.offlineKey.raw),
    profileMeshDigest: mesh.payloadDigest,
    profileAccountDigest: account.payloadDigest,
  };
}
