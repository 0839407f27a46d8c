import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { canonicalName } from '@meshd/crypto/udf';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { canonicalAddress } from './address.js';
import { RequestConnection } from './messages-mesh.js';
import { publicKeyOf, refusedAs, type VerifiedProfile, verifyProfile } from './profile-check.js';
import type { ProfileDevice } from './profiles.js';
import { MeshError } from './status.js';

/*
 * What a request to connect a device proves by itself (semantics 7.2, S50): the device of the enclosed profile asks, under
 * these nonces and keys. The service judges by it before it files it, and administrators before they answer it.
 */

/** Octets of `ClientNonce` and `ServerNonce` (S50). */
export const connectNonceBytes = 16;
const clientCommitBytes = 64;

/** A request whose signature holds, and whose members are there and of their sizes. */
export interface VerifiedConnectionRequest {
  readonly octets: EnvelopeOctets;
  readonly request: RequestConnection;
  /** Canonical address of the account. */
  readonly account: string;
  readonly profile: VerifiedProfile<ProfileDevice>;
  /** Base key by which the device authenticates itself. */
  readonly keyAuthentication: PublicKeyEd448;
  readonly clientNonce: Uint8Array;
  /** What the device commits to, and the key that its activation goes to; undefined for old devices (S53). */
  readonly commitment: { readonly clientKey: PublicKeyEd448; readonly clientCommit: Uint8Array } | undefined;
}

const requestTags = defineTags('request to connect', { RequestConnection });

/**
 * Verifies a request to connect a device: profile, signature by its offline or its authentication key, sizes of nonces,
 * import check of the fresh key (S10).
 *
 * @throws MeshError `malformed`, `payload-digest` or `object-signature`.
 */
export async function verifyConnectionRequest(octets: EnvelopeOctets): Promise<VerifiedConnectionRequest> {
  return refusedAs('RequestConnection', async () => {
    const opened = openEnvelope(octets);
    if (opened.payload === null) throw new MeshError('malformed', 'RequestConnection: the payload was left out');
    const { value: request } = decodeTagged(requestTags, opened.payload, { form: 'json', refuseRepeated: true });
    if (request.EnvelopedProfileDevice === undefined || request.ServiceID === undefined) {
      throw new MeshError('malformed', 'RequestConnection needs ServiceID and EnvelopedProfileDevice');
    }
    const profile = await verifyProfile(request.EnvelopedProfileDevice, 'ProfileDevice');
    const keyAuthentication = publicKeyOf(profile.profile.KeyAuthentication ?? {});
    const keys = [profile.offlineKey, keyAuthentication];
    await verifyEnvelope(opened, (kid) => keys.find(({ udf }) => udf === canonicalName(kid)));
    return {
      ...{ octets, request, profile, keyAuthentication },
      account: canonicalAddress(request.ServiceID),
      clientNonce: octetsOf(request.ClientNonce, connectNonceBytes, 'ClientNonce'),
      commitment: commitmentOf(request),
    };
  });
}

function commitmentOf({ ClientKey, ClientCommit }: RequestConnection): VerifiedConnectionRequest['commitment'] {
  if (ClientKey === undefined && ClientCommit === undefined) return undefined;
  const clientKey = publicKeyOf(ClientKey ?? {});
  const clientCommit = octetsOf(ClientCommit, clientCommitBytes, 'ClientCommit');
  return { clientKey, clientCommit };
}

function octetsOf(octets: Uint8Array | undefined, bytes: number, name: string): Uint8Array {
  if (octets?.length === bytes) return octets;
  throw new MeshError('malformed', `RequestConnection: ${name} has ${bytes} octets`);
}
