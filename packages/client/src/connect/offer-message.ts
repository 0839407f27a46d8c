import { fingerprint64 } from '@meshd/crypto/key-udf';
import type { Random } from '@meshd/crypto/random';
import { udfEquals } from '@meshd/crypto/udf';
import { isEncrypted } from '@meshd/dare/decrypt';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { canonicalAddress } from '@meshd/schema/address';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { verifyAccountAssertion, verifyProfile } from '@meshd/schema/profile-check';
import { ClientError } from '../errors.js';
import { type OfferParts, offerAuthenticator, offerDigest, offerPin } from './offer.js';

/* The message that invites a device (S56), from both ends. It travels in clear: what it proves, the key of the code proves. */

const offerNonceBytes = 16;
const offerTags = defineTags('offer of connection', { OfferConnection });

/** Who invites which device. */
export interface Invitation {
  readonly deviceUdf: string;
  /** Canonical address of the account that the device is to join. */
  readonly account: string;
  readonly profileMesh: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
  /** Raw offline key of the Mesh. */
  readonly meshOfflineKey: Uint8Array;
}

/** An offer, and the PIN that follows from it. */
export interface MadeOffer {
  readonly members: OfferConnection;
  readonly pin: string;
}

/** Makes an offer. @param secret of the device's code */
export function makeOffer(
  { deviceUdf, account, profileMesh, profileAccount, meshOfflineKey }: Invitation,
  secret: Uint8Array,
  { nowMs, random }: { readonly nowMs: number; readonly random: Random },
): MadeOffer {
  // Travels as a date with whole seconds.
  const createdMs = Math.floor(nowMs / 1000) * 1000;
  const offerNonce = random(offerNonceBytes);
  const meshFingerprint = fingerprint64('Ed448', meshOfflineKey);
  const digest = offerDigest({ deviceUdf, account, meshFingerprint, offerNonce, createdMs });
  const members = {
    ...{ DeviceUDF: deviceUdf, ServiceID: account, OfferNonce: offerNonce, Created: new Date(createdMs) },
    ...{ EnvelopedProfileMaster: profileMesh, EnvelopedAccountAssertion: profileAccount },
    Authenticator: offerAuthenticator(secret, digest),
  };
  return { members, pin: offerPin(secret, digest) };
}

/** An offer as a device reads it; nothing of it is proven before `checkOffer`. */
export interface ReadOffer {
  readonly parts: OfferParts;
  readonly authenticator: string;
}

/**
 * Reads what the hailing account has for a device: an offer for it, with a Mesh and an account that belong together.
 *
 * @throws ClientError `connect`
 */
export async function readOffer(octets: EnvelopeOctets, deviceUdf: string): Promise<ReadOffer> {
  try {
    const opened = openEnvelope(octets);
    if (opened.payload === null || isEncrypted(opened)) throw new Error('it cannot be read');
    const { value } = decodeTagged(offerTags, opened.payload, { form: 'json', refuseRepeated: true });
    const { OfferNonce: offerNonce, Created: created, ServiceID: account, Authenticator: authenticator } = value;
    const { EnvelopedProfileMaster: mesh, EnvelopedAccountAssertion: assertion } = value;
    if (offerNonce?.length !== offerNonceBytes || created === undefined || authenticator === undefined) {
      throw new Error('a member is missing');
    }
    if (account === undefined || mesh === undefined || assertion === undefined) throw new Error('a member is missing');
    if (!udfEquals(value.DeviceUDF ?? '', deviceUdf)) throw new Error('it is for another device');
    const profile = await verifyProfile(mesh, 'ProfileMesh');
    await verifyAccountAssertion(assertion, profile, canonicalAddress(account));
    const parts = { deviceUdf, account: canonicalAddress(account), offerNonce, createdMs: created.getTime() };
    return { parts: { ...parts, meshFingerprint: fingerprint64('Ed448', profile.offlineKey.raw) }, authenticator };
  } catch (cause) {
    throw new ClientError('connect', `an offer is ignored: ${(cause as Error).message}`, { cause });
  }
}
