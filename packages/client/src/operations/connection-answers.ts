import { verifyHost, verifyService } from '@meshd/binding/host-chain';
import { udfEquals } from '@meshd/crypto/udf';
import { digestOf, type EnvelopeOctets, openEnvelope, readEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { connectNonceBytes } from '@meshd/schema/connection-check';
import { AcknowledgeConnection, ChallengeConnection } from '@meshd/schema/messages-mesh';
import { onlineKeysOf, verifyProfile } from '@meshd/schema/profile-check';
import type { ConnectResponse } from '@meshd/schema/protocol';
import type { Acknowledged, AskedState } from '../connect/asked-file.js';
import { type MadeRequest, meshPartsOf, type VerifiedMeshParts } from '../connect/asking.js';
import { revealNonceBytes } from '../connect/transcript.js';
import { ClientError } from '../errors.js';
import type { Home } from '../home.js';
import { homePins } from '../service-pin.js';
import { domainOf } from '../session.js';

/* What a service answers a device that wants to be connected, trusted no further than it proves (S51). */

const acknowledgeTags = defineTags('acknowledgement', { AcknowledgeConnection });
const challengeTags = defineTags('challenge', { ChallengeConnection });

/** An acknowledgement that holds, and what it proves of those that were asked. */
export interface VerifiedAcknowledgement {
  readonly acknowledged: Acknowledged;
  readonly mesh: VerifiedMeshParts;
}

/** Trusts nothing as sent (S51): the acknowledgement is the host's, and is for this very request. */
export async function acknowledgedBy(
  home: Home,
  address: string,
  made: MadeRequest,
  answer: ConnectResponse,
): Promise<VerifiedAcknowledgement> {
  const { EnvelopedConnectionResponse: octets, EnvelopedProfileMaster: profileMesh } = answer;
  const { EnvelopedAccountAssertion: profileAccount } = answer;
  if (octets === undefined || profileMesh === undefined || profileAccount === undefined) {
    throw refused('the service did not say whom this device asks');
  }
  await requireHostsWord(home, address, octets);
  const mesh = await meshPartsOf(profileMesh, profileAccount, address);
  const payload = octets.payload ?? new Uint8Array(0);
  const { value } = decodeTagged(acknowledgeTags, payload, { form: 'json', refuseRepeated: true });
  const own = digestOf(made.message.payload ?? new Uint8Array(0));
  const acknowledged = digestOf(value.EnvelopedRequestConnection?.payload ?? new Uint8Array(0));
  if (Buffer.compare(own, acknowledged) !== 0) throw refused('the service has acknowledged another request');
  const { MessageID: messageId, ServerNonce: serverNonce } = value;
  if (messageId === undefined || serverNonce?.length !== connectNonceBytes) throw refused('its nonce has another size');
  return { acknowledged: { messageId, serverNonce, profileMesh, profileAccount }, mesh };
}

async function requireHostsWord(home: Home, address: string, octets: EnvelopeOctets): Promise<void> {
  const domain = domainOf(address);
  const pin = await homePins(home).get(domain);
  const opened = openEnvelope(octets);
  const { Profile: profile, Connection: connection } = opened.signatures[0] ?? {};
  if (pin === undefined || profile === undefined || connection === undefined)
    throw refused('no host has signed for it');
  const host = await verifyHost(
    await verifyService(readEnvelope(pin.profileService)),
    profile,
    connection,
    domain,
    undefined,
  );
  await verifyEnvelope(opened, (kid) => (udfEquals(kid, host.key.udf) ? host.key : undefined));
}

/** rA of a challenge that the Mesh has signed for this request. @throws ClientError `connect` */
export async function nonceOf(octets: EnvelopeOctets, { acknowledged }: AskedState): Promise<Uint8Array> {
  const { profile, offlineKey } = await verifyProfile(acknowledged.profileMesh, 'ProfileMesh');
  const keys = [...onlineKeysOf(profile), offlineKey];
  try {
    const { envelope } = await verifyEnvelope(openEnvelope(octets), (kid) =>
      keys.find(({ udf }) => udfEquals(udf, kid)),
    );
    const { value } = decodeTagged(challengeTags, envelope.payload, { form: 'json', refuseRepeated: true });
    const isOurs = value.References?.length === 1 && value.References[0]?.MessageID === acknowledged.messageId;
    if (isOurs && value.AdminNonce?.length === revealNonceBytes) return value.AdminNonce;
  } catch (cause) {
    throw new ClientError('connect', 'the challenge is not one of the Mesh that this device asked', { cause });
  }
  throw refused('the challenge is for another request');
}

/** A connection, or what leads to one, that does not prove itself. */
export function refused(why: string): ClientError {
  return new ClientError('connect', `the connection is refused: ${why}`);
}
