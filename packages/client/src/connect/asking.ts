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
import type { AskingSeeds } from './acceptance.js';
import { pinUdf, type StretchedPin } from './pin.js';
import { clientCommit, type MeshParts, pinnedDigest, requestDigest, revealNonceBytes } from './transcript.js';

/* What a device sends that wants to be connected (S50), and what both ends compute from the profiles that they verified. */

/** A request, and the secrets behind it. */
export interface MadeRequest {
  readonly seeds: AskingSeeds;
  readonly profileDevice: EnvelopeOctets;
  readonly deviceUdf: string;
  readonly clientNonce: Uint8Array;
  /** rD: shown to nobody before the administrator has challenged (S53). */
  readonly revealNonce: Uint8Array;
  /** RC and `ClientCommit`. */
  readonly request: Uint8Array;
  readonly commit: Uint8Array;
  /** The RequestConnection, signed. */
  readonly message: EnvelopeOctets;
}

/** What a request is made of. */
export interface RequestOptions {
  /** Canonical address of the account. */
  readonly address: string;
  /** Base keys of the device; drawn where it has none yet. */
  readonly seeds?: Omit<AskingSeeds, 'client'> | undefined;
  /** Shown to the administrator. */
  readonly description: string;
  /** As stretched for this account; undefined without a PIN. */
  readonly pin?: StretchedPin | undefined;
  readonly nowMs: number;
  readonly random: Random;
}

/** Makes a request: fresh nonces, a fresh key for the answer, and base keys where there are none. */
export function makeRequest(options: RequestOptions): MadeRequest {
  const { address, random, pin } = options;
  const seed = () => generateSeed(random);
  const base = options.seeds ?? { offline: seed(), encryption: seed(), authentication: seed() };
  const seeds = { ...base, client: seed() };
  const offline = signingKeyFromSeed(seeds.offline);
  const profile: ProfileDevice = {
    Updated: new Date(Math.floor(options.nowMs / 1000) * 1000),
    KeyOfflineSignature: publicMember(seeds.offline),
    Description: options.description,
    KeyEncryption: publicMember(seeds.encryption),
    KeyAuthentication: publicMember(seeds.authentication),
  };
  const payload = encodeTagged(ProfileDevice, profile, 'json');
  const profileDevice = signEnvelope({ payload, contentType: itemContentType, keys: [offline] });
  const clientNonce = random(connectNonceBytes);
  const revealNonce = random(revealNonceBytes);
  const request = requestDigest({
    account: address,
    deviceFingerprint: fingerprint64('Ed448', offline.publicKey.raw),
    profileDeviceDigest: digestOf(payload),
    clientNonce,
    clientKey: signingKeyFromSeed(seeds.client).publicKey.raw,
  });
  const commit = clientCommit(request, revealNonce);
  const body: RequestConnection = {
    ServiceID: address,
    EnvelopedProfileDevice: profileDevice,
    ClientNonce: clientNonce,
    ClientKey: publicMember(seeds.client),
    ClientCommit: commit,
    ...(pin === undefined ? {} : { PinUDF: pinUdf(pin, pinnedDigest(request, commit)) }),
  };
  const message = signEnvelope({
    payload: encodeTagged(RequestConnection, body, 'json'),
    contentMeta: { MessageType: RequestConnection.name, cty: itemContentType },
    keys: [offline],
  });
  const { udf: deviceUdf } = offline.publicKey;
  return { seeds, profileDevice, deviceUdf, clientNonce, revealNonce, request, commit, message };
}

function publicMember(seed: Uint8Array): PublicKey {
  const { udf, raw } = signingKeyFromSeed(seed).publicKey;
  return { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } };
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
): Promise<MeshParts> {
  const mesh = await verifyProfile(profileMesh, 'ProfileMesh');
  const account = await verifyAccountAssertion(profileAccount, mesh, address);
  return {
    meshFingerprint: fingerprint64('Ed448', mesh.offlineKey.raw),
    profileMeshDigest: mesh.payloadDigest,
    profileAccountDigest: account.payloadDigest,
  };
}
