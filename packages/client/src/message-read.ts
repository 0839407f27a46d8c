import { type VerifiedService, verifyHost } from '@meshd/binding/host-chain';
import { decryptEnvelope, isEncrypted } from '@meshd/dare/decrypt';
import { type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decodeManifest, manifestKinds } from '@meshd/dare/manifest';
import type { DecryptionKey } from '@meshd/dare/recipients';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { verifyMessage } from '@meshd/schema/message-check';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import type { ProfileAccount } from '@meshd/schema/profiles';

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
  /** Members of the body; undefined where it was left out, or is not for this device. */
  readonly body: JsonObject | undefined;
  /** The sender's account, as the message shows it. */
  readonly account: ProfileAccount;
}

/** What became of messages. */
export interface MarkFrame {
  readonly kind: 'mark';
  readonly frameIndex: number;
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

/** What reading needs. */
export interface SpoolReading {
  readonly key: DecryptionKey;
  /** Canonical address of the account. */
  readonly address: string;
  readonly service: VerifiedService;
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
    return await readMark(envelope, frameIndex, reading.service);
  } catch (error) {
    return { kind: 'refused', frameIndex, id, reason: (error as Error).message };
  }
}

/** Kind 2 of a manifest: a message from one account to others. */
function isToOthers({ signatures }: DareEnvelope): boolean {
  const octets = signatures.find(({ Manifest }) => Manifest !== undefined)?.Manifest;
  return octets !== undefined && decodeManifest(octets).kind === manifestKinds.message;
}

async function readMessage(
  octets: EnvelopeOctets,
  frameIndex: number,
  { key, address }: SpoolReading,
): Promise<MessageFrame> {
  const message = await verifyMessage(octets);
  const { envelope, uniqueId: id, messageType: type, sender, recipients, createdMs, account } = message;
  if (sender !== address && !recipients.includes(address)) throw new Error('it was not sent to this account');
  const encrypted = isEncrypted(envelope);
  const body = message.isOffer ? undefined : bodyOf(envelope, type, sender, key);
  return {
    ...{ kind: 'message', frameIndex, id, type, sender, recipients, createdMs, account },
    ...{ isEncrypted: encrypted, body },
  };
}

/** The body, after the order of S61: proof, unwrapping, witness, cipher, and then what it says of itself. */
function bodyOf(envelope: DareEnvelope, type: string, sender: string, key: DecryptionKey): JsonObject {
  const plain = isEncrypted(envelope) ? decryptEnvelope(envelope, key, 'manifest').plain : envelope.payload;
  const value = parseJson(plain ?? new Uint8Array(0), { refuseRepeated: true }) as JsonObject;
  const body = value[type];
  if (Object.keys(value).length !== 1 || typeof body !== 'object' || body === null) {
    throw new Error('the body is of another type than the message says');
  }
  const members = body as JsonObject;
  if (members.Sender !== undefined && members.Sender !== sender) throw new Error('the body names another sender');
  return members;
}

async function readMark(envelope: DareEnvelope, frameIndex: number, service: VerifiedService): Promise<MarkFrame> {
  const value = decodeTagged(markTags, envelope.payload ?? new Uint8Array(0), { form: 'json' }).value;
  const references = value.References ?? [];
  const { Profile: profile, Connection: connection } = envelope.signatures[0] ?? {};
  if (profile === undefined || connection === undefined) {
    return { kind: 'mark', frameIndex, byService: false, references };
  }
  // Made at some time in the past: whether the host was in force then only the service knows.
  const host = await verifyHost(service, profile, connection, undefined, undefined);
  await verifyEnvelope(envelope, (kid) => (kid === host.key.udf ? host.key : undefined));
  return { kind: 'mark', frameIndex, byService: true, references };
}
