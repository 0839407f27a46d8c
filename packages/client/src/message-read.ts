import { type VerifiedService, verifyHost } from '@meshd/binding/host-chain';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { canonicalName, udfEquals } from '@meshd/crypto/udf';
import { coreOfFrame } from '@meshd/dare/core';
import { decryptEnvelope, isEncrypted } from '@meshd/dare/decrypt';
import { checkPayloadDigest, type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decodeManifest, manifestKinds, verifyManifest } from '@meshd/dare/manifest';
import type { DecryptionKey } from '@meshd/dare/recipients';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import type { Permission } from '@meshd/schema/connections';
import { inboundSpool } from '@meshd/schema/container-name';
import { type VerifiedMessage, verifyMessage } from '@meshd/schema/message-check';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { ProfileAccount } from '@meshd/schema/profiles';
import type { FindWriter } from './reader.js';

/*
 * Frames of the two spools as a person sees them (semantics 8.1, 8.2): messages of others, what they prove and what they say;
 * one's own messages; and marks, which say what became of messages. The service is believed in nothing that a signature can
 * show (S61, S71), and a frame that shows nothing is listed with what is wrong with it.
 */

/** A message that somebody sent. */
export interface MessageFrame {
  readonly kind: 'message';
  readonly frameIndex: number;
  /** `UniqueID`. */
  readonly id: string;
  readonly type: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** As the sender's device said. */
  readonly createdMs: number;
  readonly isEncrypted: boolean;
  /** To this account, encrypted to a key that it had given up when the message was made (S62): the sender has not heard of it. */
  readonly isUnderFormerKey: boolean;
  /** Members of the body; undefined where it was left out, or is not for this device. */
  readonly body: JsonObject | undefined;
  /** The body as it was written: the tagged object in JSON, padding included. */
  readonly bodyOctets: Uint8Array | undefined;
  /** The sender's account, as the message shows it. */
  readonly account: ProfileAccount;
  /** What the sending device may do in that account; empty: every store. */
  readonly permissions: readonly Permission[];
}

/** What became of messages. */
export interface MarkFrame {
  readonly kind: 'mark';
  readonly frameIndex: number;
  /** `UniqueID` of the mark itself. */
  readonly id: string;
  /** As who made it says. */
  readonly createdMs: number | undefined;
  /** Whether the service made it; else a device of the account. */
  readonly byService: boolean;
  readonly references: readonly Reference[];
}

/** Something that proves nothing, and so is not shown as anybody's word. */
export interface RefusedFrame {
  readonly kind: 'refused';
  readonly frameIndex: number;
  readonly id: string;
  readonly reason: string;
}

/** Another frame of the spool: entries of the own devices that are no marks. */
export interface OtherFrame {
  readonly kind: 'other';
  readonly frameIndex: number;
  readonly id: string;
  readonly type: string;
}

export type SpoolFrame = MessageFrame | MarkFrame | RefusedFrame | OtherFrame;

/** Whose marks count: those of the account's devices, and of its administrators. */
export interface MarkAuthority {
  readonly accountUdf: string;
  readonly findWriter: FindWriter;
  readonly administrators: readonly PublicKeyEd448[];
}

/** What reading needs. */
export interface SpoolReading {
  readonly key: DecryptionKey;
  /** Since when that and each of its former keys is the account's, Unix milliseconds, newest first. */
  readonly keysSinceMs?: readonly number[] | undefined;
  /** Canonical address of the account. */
  readonly address: string;
  /** Addresses at which it was before (R011): what came to them and went from them is its own, too. */
  readonly formerAddresses?: readonly string[] | undefined;
  readonly service: VerifiedService;
  /** Services at which it was before: their marks are in its spools. */
  readonly formerServices?: readonly VerifiedService[] | undefined;
  readonly marks: MarkAuthority;
}

const markTags = defineTags('mark', { MessageComplete });

/** Reads one frame of a spool that the reader has accepted. */
export async function readSpoolFrame(
  octets: EnvelopeOctets,
  frameIndex: number,
  reading: SpoolReading,
): Promise<SpoolFrame> {
  const envelope = openEnvelope(octets);
  const { UniqueID: id = '', MessageType: type = '' } = envelope.contentMetaData ?? {};
  try {
    if (isToOthers(envelope)) return await readMessage(octets, frameIndex, reading);
    if (type !== MessageComplete.name) return { kind: 'other', frameIndex, id, type };
    return await readMark(envelope, frameIndex, reading);
  } catch (error) {
    return { kind: 'refused', frameIndex, id, reason: (error as Error).message };
  }
}

/** Kind 2 of a manifest: a message from one account to others. */
function isToOthers({ signatures }: DareEnvelope): boolean {
  const octets = signatures.find(({ Manifest }) => Manifest !== undefined)?.Manifest;
  return octets !== undefined && decodeManifest(octets).kind === manifestKinds.message;
}

async function readMessage(octets: EnvelopeOctets, frameIndex: number, reading: SpoolReading): Promise<MessageFrame> {
  const { key, address, formerAddresses = [] } = reading;
  const message = await verifyMessage(octets);
  const { envelope, uniqueId: id, messageType: type, sender, recipients, createdMs, account } = message;
  const isOurs = [address, ...formerAddresses].some((own) => sender === own || recipients.includes(own));
  if (!isOurs) throw new Error('it was not sent to this account');
  const encrypted = isEncrypted(envelope);
  const read = message.isOffer ? undefined : await bodyOf(message, key);
  return {
    ...{ kind: 'message', frameIndex, id, type, sender, recipients, createdMs, account },
    isUnderFormerKey: encrypted && sender !== address && isUnderFormerKey(envelope, createdMs, reading),
    ...{ isEncrypted: encrypted, body: read?.body, bodyOctets: read?.octets, permissions: message.permissions },
  };
}

/** Whether none of its keys is the one that the account had by the sender's clock, nor a newer one. */
function isUnderFormerKey(
  { header }: DareEnvelope,
  createdMs: number,
  { key, keysSinceMs = [] }: SpoolReading,
): boolean {
  const inForce = keysSinceMs.findIndex((sinceMs) => sinceMs <= createdMs);
  if (inForce < 0) return false;
  const known = [key, ...(key.former ?? [])].slice(0, inForce + 1);
  return !(header.recipients ?? []).some(
    ({ kid }) => kid !== undefined && known.some(({ udf }) => udfEquals(kid, udf)),
  );
}

/** The body, after the order of S61: proof, unwrapping, witness, cipher, and then what it says of itself. */
async function bodyOf(message: VerifiedMessage, key: DecryptionKey) {
  const { envelope, messageType: type, sender, recipients } = message;
  const encrypted = isEncrypted(envelope);
  const octets = (encrypted ? await openBody(message, key) : envelope.payload) ?? new Uint8Array(0);
  const value = parseJson(octets, { refuseRepeated: true }) as JsonObject;
  const body = value[type];
  if (Object.keys(value).length !== 1 || typeof body !== 'object' || body === null) {
    throw new Error('the body is of another type than the message says');
  }
  const members = body as JsonObject;
  const { Sender: said, Recipient: to } = members;
  // Whoever can read a ciphertext can put another signature on it; only what is inside says whose it is.
  if (encrypted && said === undefined) throw new Error('the body names no sender');
  if (said !== undefined && said !== sender) throw new Error('the body names another sender');
  if (to !== undefined && !recipients.some((recipient) => recipient === to)) {
    throw new Error('the body names another recipient');
  }
  return { body: members, octets };
}

/** The witness belongs to the ordinary signature, so that one must be the same device's (S61). */
async function openBody({ envelope, signer }: VerifiedMessage, key: DecryptionKey): Promise<Uint8Array> {
  await verifyEnvelope(envelope, (kid) => (canonicalName(kid) === signer.udf ? signer : undefined));
  return decryptEnvelope(envelope, key, 'manifest').plain;
}

async function readMark(envelope: DareEnvelope, frameIndex: number, reading: SpoolReading): Promise<MarkFrame> {
  const value = decodeTagged(markTags, envelope.payload ?? new Uint8Array(0), { form: 'json' }).value;
  const { UniqueID: id = '', Created: created } = envelope.contentMetaData ?? {};
  const mark = {
    kind: 'mark',
    frameIndex,
    id,
    createdMs: created?.getTime(),
    references: value.References ?? [],
  } as const;
  const { Profile: profile, Connection: connection } = envelope.signatures[0] ?? {};
  if (profile === undefined || connection === undefined) {
    await requireOwnDevice(envelope, frameIndex, reading.marks);
    return { ...mark, byService: false };
  }
  const services = [reading.service, ...(reading.formerServices ?? [])];
  for (const [at, service] of services.entries()) {
    try {
      // Made at some time in the past: whether the host was in force then only the service knows.
      const host = await verifyHost(service, profile, connection, undefined, undefined);
      await verifyEnvelope(envelope, (kid) => (kid === host.key.udf ? host.key : undefined));
      break;
    } catch (error) {
      if (at === services.length - 1) throw error;
    }
  }
  return { ...mark, byService: true };
}

/** A mark of this account, by a device that may write to the spool (S41 kind 3): the service makes none for others. */
async function requireOwnDevice(envelope: DareEnvelope, frameIndex: number, authority: MarkAuthority): Promise<void> {
  const entry = envelope.signatures.find(({ Manifest }) => Manifest !== undefined);
  const manifest = decodeManifest(entry?.Manifest ?? new Uint8Array(0));
  const { kind, subject, object } = manifest;
  const isOwn = kind === manifestKinds.self && canonicalName(subject) === canonicalName(authority.accountUdf);
  if (!isOwn || object !== inboundSpool) throw new Error('the mark is for another spool');
  const name = canonicalName(entry?.kid ?? '');
  const key =
    authority.administrators.find(({ udf }) => udf === name) ?? authority.findWriter(name, inboundSpool, frameIndex);
  const core = coreOfFrame(envelope, checkPayloadDigest(envelope));
  if (key === undefined || !(await verifyManifest(key, manifest, core))) {
    throw new Error('no device of this account has made the mark');
  }
}
