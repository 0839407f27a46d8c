import { type EnvelopeOctets, envelopeBytes } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { type Manifest, manifestKinds, recipientsOf, verifyManifest } from '@meshd/dare/manifest';
import { messageBytesMax, messageCreatedFutureMsMax, messageCreatedPastMsMax } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import { itemContentType } from '@meshd/schema/container-name';
import { onlineKeysOf, verifyConnectionAccount, verifyProfile } from '@meshd/schema/profile-check';
import { MeshError } from '@meshd/schema/status';
import { isIdentifier } from '../upload/events.js';
import { isFault } from '../upload/fault.js';
import { openFrame, type UploadedFrame } from '../upload/frame.js';
import { decodedManifest, sameName } from '../upload/manifest-rules.js';

/*
 * A message to others, judged by itself (S41 kind 2, S71, S73): nothing here depends on who brings it or who stores it.
 */

declare const verified: unique symbol;

/** A message whose manifest and credentials hold. Only {@link verifyMessage} makes one. */
export interface VerifiedMessage {
  readonly [verified]: true;
  readonly frame: UploadedFrame;
  /** Canonical address: Subject of the manifest. */
  readonly sender: string;
  /** Canonical addresses: Object of the manifest. */
  readonly recipients: readonly string[];
  readonly uniqueId: string;
  readonly messageType: string;
  readonly core: Uint8Array;
  /** Raw key of the sender's device. */
  readonly signerKey: Uint8Array;
  /** Of the manifest, Unix time in milliseconds. */
  readonly createdMs: number;
  /** Whose message it is. */
  readonly contact: {
    readonly accountUdf: string;
    readonly accountKey: Uint8Array;
    readonly updatedMs: number;
  };
  /** The body was left out (S82). */
  readonly offered: boolean;
}

/**
 * Verifies a message to others.
 *
 * @throws MeshError `too-large`, `malformed`, `payload-digest`, `event-rule`, `manifest`, `object-signature`.
 */
export async function verifyMessage(
  octets: EnvelopeOctets,
  { nowMs }: { readonly nowMs: number },
): Promise<VerifiedMessage> {
  if (envelopeBytes(octets) > messageBytesMax) {
    throw new MeshError('too-large', `a message has at most ${messageBytesMax} octets`);
  }
  const frame = openFrame(octets, 0);
  if (isFault(frame)) throw new MeshError(frame.code, frame.detail);
  const { UniqueID: uniqueId, MessageType: messageType, cty } = frame.meta;
  if (!isIdentifier(uniqueId) || !messageType || cty !== itemContentType) {
    throw new MeshError('event-rule', `a message needs UniqueID, MessageType and cty ${itemContentType}`);
  }
  const entries = frame.signatures.filter(({ Manifest }) => Manifest !== undefined);
  const entry = entries[0];
  if (entries.length !== 1 || entry?.Manifest === undefined) {
    throw new MeshError('manifest', 'a message has one manifest');
  }
  const manifest = decodedManifest(entry.Manifest);
  if (
    manifest === undefined ||
    manifest.kind !== manifestKinds.message ||
    manifest.from !== 0 ||
    manifest.index !== 0
  ) {
    throw new MeshError('manifest', 'not a manifest of version 1, kind 2');
  }
  if (manifest.createdMs < nowMs - messageCreatedPastMsMax || manifest.createdMs > nowMs + messageCreatedFutureMsMax) {
    throw new MeshError('manifest', 'Created of the manifest is not of this time');
  }
  const sender = addressOf(manifest.subject);
  const recipients = namesOf(manifest);
  if (entry.Account === undefined || entry.Connection === undefined) {
    throw new MeshError('manifest', 'the signature entry needs Account and Connection');
  }
  const { profile, offlineKey } = await verifyProfile(entry.Account, 'ProfileAccount');
  if (!(profile.ServiceIDs ?? []).some((id) => id.toLowerCase() === sender)) {
    throw new MeshError('manifest', 'the ProfileAccount does not name the sender');
  }
  const account = { udf: offlineKey.udf, address: sender, onlineKeys: onlineKeysOf(profile) };
  const { keySignature } = await verifyConnectionAccount(entry.Connection, account);
  if (entry.kid === undefined || !sameName(keySignature.udf, entry.kid)) {
    throw new MeshError('manifest', 'the signer is not the device of the connection');
  }
  if (!(await verifyManifest(keySignature, manifest, frame.core))) {
    throw new MeshError('manifest', 'the signature of the manifest is not valid');
  }
  const contact = {
    ...{ accountUdf: offlineKey.udf, accountKey: offlineKey.raw, updatedMs: profile.Updated?.getTime() ?? 0 },
  };
  const { core, redacted: offered } = frame;
  const message = { frame, sender, recipients, uniqueId, messageType, core, createdMs: manifest.createdMs, contact };
  return { ...message, signerKey: keySignature.raw, offered } as unknown as VerifiedMessage;
}

/** Names in a manifest are canonical, or it is none of ours: what is signed is not rewritten. */
function addressOf(text: string): string {
  try {
    if (canonicalAddress(text) === text) return text;
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
  }
  throw new MeshError('manifest', 'the manifest names no canonical address');
}

function namesOf(manifest: Manifest): string[] {
  try {
    return recipientsOf(manifest).map(addressOf);
  } catch (error) {
    if (error instanceof DareError) throw new MeshError('manifest', 'Object of the manifest is no list of addresses');
    throw error;
  }
}
