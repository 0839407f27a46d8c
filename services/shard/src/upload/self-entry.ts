import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import { isWithin, openEnvelope, withContainerInfo, withPayloadDigest } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { type Manifest, manifestAlgorithm, manifestKinds } from '@meshd/dare/manifest';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import { messageBytesMax } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import { inboundSpool, itemContentType } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import type { FrameRow, FrameWrite } from '../storage/store.js';
import { isBadInput } from './device-entry.js';
import { isIdentifier } from './events.js';
import { type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import { decodedManifest, sameName } from './manifest-rules.js';
import { isEncrypted, markType, referencesOf } from './marks.js';
import { appendFrame, type ContainerView } from './view.js';

/*
 * `Self` entries: messages of the account's own devices for its inbound spool (semantics 6.6, encoding 3.9, S25, S41). As
 * pure rules over one entry; what they need of the store is given.
 */

/** A Self entry that says what it must; its signature is still to be verified. */
export interface PendingSelf {
  readonly frame: UploadedFrame;
  readonly uniqueId: string;
  /** `kid` of the entry with the manifest. */
  readonly kid: string;
  readonly manifest: Manifest;
}

/** Messages that only the service makes: a device's would pass for the service's word (S01). */
export const serviceTypes: ReadonlySet<string> = new Set(['AcknowledgeConnection', 'RevealConnection']);
/** Messages by which an administrator decides who gets into the account (S25). */
const administrationTypes: ReadonlySet<string> = new Set(['MessagePIN', 'ChallengeConnection']);
/** Messages whose completion connects a device, or says that a PIN was used. */
const decidedTypes: ReadonlySet<string> = new Set(['AcknowledgeConnection', 'MessagePIN']);
/** What anybody may say of them. */
const harmlessMarks: ReadonlySet<string> = new Set(['Read', 'Unread']);

/**
 * Judges a Self entry by all that needs neither the store nor a signature.
 *
 * @throws MeshError `too-large` for a message beyond the size of messages.
 */
export function judgeSelf(
  frame: UploadedFrame,
  account: { readonly address: string; readonly accountUdf: string },
): PendingSelf | EntryFault {
  const { meta, indexRequest } = frame;
  if (!isWithin(frame.octets, messageBytesMax)) {
    throw new MeshError('too-large', `a message has at most ${messageBytesMax} octets`);
  }
  const { UniqueID: uniqueId, MessageType: type } = meta;
  if (!isIdentifier(uniqueId) || type === undefined || type === '' || meta.cty !== itemContentType) {
    return reject(indexRequest, 'event-rule', `a message needs UniqueID, MessageType and cty ${itemContentType}`);
  }
  if (serviceTypes.has(type)) return reject(indexRequest, 'event-rule', `only the service makes ${type}`);
  const contentFault = judgeContent(frame, type, account.address);
  if (contentFault !== undefined) return contentFault;
  return judgeProof(frame, uniqueId, account.accountUdf);
}

/** What the payload says of itself, where it can be read: tag and sender must be what the metadata and account say. */
export function judgeContent(frame: UploadedFrame, type: string, address: string): EntryFault | undefined {
  const fault = (why: string) => reject(frame.indexRequest, 'event-rule', why);
  if (isEncrypted(frame.enc)) return type === markType ? fault('marks are not encrypted') : undefined;
  if (frame.redacted) return undefined;
  const body = taggedBody(frame.payload, type);
  if (body === undefined) return fault('MessageType is not the tag of the message');
  if (body.Sender !== undefined && !isAddress(body.Sender, address)) return fault('Sender is another account');
  if (type === markType && referencesOf(frame) === undefined) return fault('the mark cannot be read');
  return undefined;
}

function taggedBody(payload: Uint8Array, tag: string): JsonObject | undefined {
  try {
    const value = parseJson(payload, { refuseRepeated: true });
    if (!isObject(value) || Object.keys(value).length !== 1) return undefined;
    const body = value[tag];
    return body !== undefined && isObject(body) ? body : undefined;
  } catch (error) {
    if (isBadInput(error)) return undefined;
    throw error;
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isAddress(value: JsonValue, address: string): boolean {
  try {
    return typeof value === 'string' && canonicalAddress(value) === address;
  } catch {
    return false;
  }
}

/** S41, kind 3: an ordinary signature, and the manifest beside it, which is the one that is verified. */
function judgeProof(frame: UploadedFrame, uniqueId: string, accountUdf: string): PendingSelf | EntryFault {
  const fault = (why: string) => reject(frame.indexRequest, 'manifest', why);
  if (frame.signatures.some(({ alg }) => alg === manifestAlgorithm)) {
    return fault('a message carries no manifest of a container');
  }
  const entries = frame.signatures.filter(({ Manifest: octets }) => octets !== undefined);
  const entry = entries[0];
  const isProof = entry?.alg === 'S512' && entry.signature !== undefined && entry.kid !== undefined;
  if (entries.length !== 1 || !isProof) return fault('a Self entry is signed: one entry, S512, with a manifest beside');
  const manifest = decodedManifest((entry as SignatureEntry).Manifest as Uint8Array);
  if (manifest?.kind !== manifestKinds.self || manifest.from !== 0) return fault('not a manifest of version 1, kind 3');
  if (!sameName(accountUdf, manifest.subject) || manifest.object !== inboundSpool) {
    return fault('the manifest is for another account or spool');
  }
  return { frame, uniqueId, kid: entry?.kid as string, manifest };
}

/**
 * Whether an administrator must have signed the entry (S25).
 *
 * @param typeOf `MessageType` of a message of the spool, by its `UniqueID`; undefined for one that it does not hold.
 */
export function needsAdministrator({ frame }: PendingSelf, typeOf: (uniqueId: string) => string | undefined): boolean {
  if (administrationTypes.has(frame.meta.MessageType ?? '')) return true;
  return (referencesOf(frame) ?? []).some(({ MessageID: name = '', Relationship: relationship = '' }) => {
    return !harmlessMarks.has(relationship) && decidedTypes.has(typeOf(name) ?? '');
  });
}

/**
 * Whether a frame of the spool is this very message from this very device (semantics 5): then it was taken before.
 *
 * @param stored the frame with the same `UniqueID`, its payload need not be read.
 */
export function isSameMessage({ frame, kid }: Pick<PendingSelf, 'frame' | 'kid'>, stored: FrameRow): boolean {
  const opened = openEnvelope({ header: stored.header, payload: null, trailer: stored.trailer });
  const core = coreOfFrame(opened, stored.payloadDigest);
  if (Buffer.compare(core, frame.core) !== 0) return false;
  return opened.signatures.some((entry) => entry.Manifest !== undefined && sameName(entry.kid ?? '', kid));
}

/** A message that was judged: what its frame is made of. */
export interface PlacedMessage {
  readonly uniqueId: string;
  readonly frame: Pick<UploadedFrame, 'octets' | 'payloadDigest' | 'isDigestStated' | 'core' | 'signatures'>;
}

/** A message in its frame, at the end of the spool (encoding 3.9). */
export function placeMessage(
  { frame, uniqueId }: PlacedMessage,
  view: ContainerView,
): { readonly write: FrameWrite; readonly view: ContainerView } {
  const { payloadDigest, core, signatures } = frame;
  const placed = withContainerInfo(frame.octets, { Index: view.frameCount });
  const octets = frame.isDigestStated ? placed : withPayloadDigest(placed, payloadDigest);
  const leaf = leafOfFrame(view.frameCount, core, signatures);
  const { view: after, treeDigest, nodes } = appendFrame(view, { payloadDigest, leaf });
  // Frames of the service's spools have no manifest of a container: none is expected to cover them (S49).
  const covered = { ...after, manifestFrom: after.frameCount };
  return { write: { ...octets, payloadDigest, treeDigest, leaf, nodes, uniqueId }, view: covered };
}
