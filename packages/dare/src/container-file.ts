import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { encodeFrame, type FoundFrame, framesForward, type OctetSource } from './container-frame.js';
import { checkPayloadDigest, type DareEnvelope, type EnvelopeOctets, makeEnvelope, openEnvelope } from './envelope.js';
import { partOctets } from './envelope-octets.js';
import { DareError } from './errors.js';
import type { ContainerInfo, ContentMeta, Header, Trailer } from './header.js';
import { appendDare, chainDigest, emptyDareTree, previousFrame, type TreeState } from './merkle.js';
import { headerWith } from './sign.js';

/*
 * The file form of a container (encoding 3): what stands in headers and trailers for each of the five kinds, and the
 * state that an append needs. The state holds one offset and one digest a level (see `merkle`), so appending reads no
 * earlier frame.
 */

/** Kinds of containers, as `ContainerType` names them. */
export const containerTypes = ['List', 'Digest', 'Chain', 'Tree', 'Merkle'] as const;
export type ContainerType = (typeof containerTypes)[number];

/** What an append to a container file needs to know. */
export interface FileState {
  readonly type: ContainerType;
  readonly frameCount: number;
  /** Offset behind the last sound frame: where the next one goes. */
  readonly size: number;
  /** Offset of the newest frame of each level; the levels are those of the Merkle rule. */
  readonly offsets: readonly number[];
  readonly tree: TreeState;
  readonly chain: Uint8Array | undefined;
}

/** The state of a container file without any frame. */
export function emptyFile(type: ContainerType): FileState {
  return { type, frameCount: 0, size: 0, offsets: [], tree: emptyDareTree, chain: undefined };
}

function levelOf(frameIndex: number): number {
  let level = 0;
  for (let rest = frameIndex + 1; rest % 2 === 0; rest /= 2) level += 1;
  return level;
}

const hasTreePosition = (type: ContainerType): boolean => type === 'Tree' || type === 'Merkle';
const hasPayloadDigest = (type: ContainerType): boolean => type === 'Digest' || type === 'Chain' || type === 'Merkle';

/** Offset of the frame that the next frame's `TreePosition` points to; undefined for frame 0 (encoding 3.4). */
export function nextTreePosition(state: FileState): number | undefined {
  if (state.frameCount === 0) return undefined;
  return state.offsets[levelOf(previousFrame(state.frameCount))];
}

/** The state after a frame of so many octets with this payload digest. */
export function afterFrame(state: FileState, frameSize: number, payloadDigest: Uint8Array): FileState {
  const offsets = state.offsets.slice();
  offsets[levelOf(state.frameCount)] = state.size;
  return {
    type: state.type,
    frameCount: state.frameCount + 1,
    size: state.size + frameSize,
    offsets,
    tree: appendDare(state.tree, payloadDigest).state,
    chain: chainDigest(state.chain, payloadDigest),
  };
}

/** Content of a frame to be appended. */
export interface FileFrame {
  readonly payload: Uint8Array;
  readonly contentMeta?: ContentMeta;
  /** Further header members; `ContainerInfo` is added. */
  readonly header?: Header;
}

function infoOf(state: FileState): ContainerInfo {
  if (state.frameCount === 0) return { DataEncoding: 'JSON', Index: 0, ContainerType: state.type };
  const position = hasTreePosition(state.type) ? nextTreePosition(state) : undefined;
  return { Index: state.frameCount, ...(position === undefined ? {} : { TreePosition: position }) };
}

function digestMembers(state: FileState, payloadDigest: Uint8Array): Trailer {
  return {
    ...(hasPayloadDigest(state.type) ? { PayloadDigest: payloadDigest } : {}),
    ...(state.type === 'Chain' ? { ChainDigest: chainDigest(state.chain, payloadDigest) } : {}),
    ...(state.type === 'Merkle' ? { TreeDigest: appendDare(state.tree, payloadDigest).treeDigest } : {}),
  };
}

/** A frame's octets and the state after it. */
export interface AppendedFrame {
  readonly octets: Uint8Array;
  readonly state: FileState;
  readonly envelope: EnvelopeOctets;
}

/**
 * Makes the next frame of a container file of any kind.
 *
 * @throws DareError `limit` beyond the frame bound.
 */
export function appendFrame(state: FileState, frame: FileFrame): AppendedFrame {
  const payloadDigest = sha512(frame.payload);
  const header = headerWith({ ...frame.header, ContainerInfo: infoOf(state) }, frame.contentMeta);
  const trailer = digestMembers(state, payloadDigest);
  const hasTrailer = Object.keys(trailer).length > 0;
  const envelope = makeEnvelope({ header, payload: frame.payload, trailer: hasTrailer ? trailer : undefined });
  return appendRecords(state, envelope, payloadDigest);
}

function appendRecords(state: FileState, envelope: EnvelopeOctets, payloadDigest: Uint8Array): AppendedFrame {
  const octets = encodeFrame({
    header: envelope.header,
    payload: envelope.payload ?? new Uint8Array(0),
    trailer: envelope.trailer ?? undefined,
  });
  return { octets, envelope, state: afterFrame(state, octets.length, payloadDigest) };
}

/**
 * Puts an envelope that exists already (a downloaded frame, a signed or encrypted one) at the end of a container file.
 * Its `ContainerInfo` gets the index and position of this file; signatures, digests and metadata stay what they are. The
 * container's own digests are added where the envelope has none.
 *
 * @throws DareError `payload-digest`, `redacted` without payload and digest.
 */
export function appendEnvelope(state: FileState, octets: EnvelopeOctets): AppendedFrame {
  const opened = openEnvelope(octets);
  const payloadDigest = payloadDigestOf(opened);
  const received = partOf(octets.header);
  const { TreePosition: _elsewhere, ...info } = (received.ContainerInfo ?? {}) as JsonObject;
  const header = { ...received, ContainerInfo: { ...info, ...objectOf(infoOf(state)) } };
  const given = octets.trailer === null ? {} : partOf(octets.trailer);
  const stated = { ...received, ...given };
  const missing = Object.entries(digestMembers(state, payloadDigest)).filter(([name]) => !Object.hasOwn(stated, name));
  const trailer = {
    ...given,
    ...objectOf(Object.fromEntries(missing)),
  };
  const hasTrailer = Object.keys(trailer).length > 0;
  const envelope = {
    header: writeJson(header),
    payload: opened.payload,
    trailer: hasTrailer ? writeJson(trailer) : null,
  };
  return appendRecords(state, envelope, payloadDigest);
}

function partOf(octets: Uint8Array): JsonObject {
  return parseJson(octets) as JsonObject;
}

/** A decoded object, whose members are all plain JSON values or octets, as a value of any shape. */
function objectOf(members: object | undefined): JsonObject {
  return Object.fromEntries(Object.entries(members ?? {}).filter(([, member]) => member !== undefined)) as JsonObject;
}

function payloadDigestOf(opened: DareEnvelope): Uint8Array {
  if (opened.payload !== null) {
    const checked = checkPayloadDigest(opened);
    // The trees are over SHA-2-512 whatever `dig` says.
    return opened.header.dig === 'S512' ? checked : sha512(opened.payload);
  }
  if (opened.payloadDigest === undefined) throw new DareError('redacted', 'a redacted frame states its PayloadDigest');
  return opened.payloadDigest;
}

/** The envelope in a frame; an empty trailer record is no trailer. Throws EncodingError for parts that are no objects. */
export function envelopeOfFrame(frame: FoundFrame): EnvelopeOctets {
  const { header, payload, trailer } = frame;
  return {
    header: partOctets(header),
    payload: payload ?? new Uint8Array(0),
    trailer: trailer === undefined || trailer.length === 0 ? null : partOctets(trailer),
  };
}

/** How the chain or tree digests of a file's frames were made. */
export type DigestRule =
  /** By the rule of encoding 3.5 or 3.6. */
  | 'rule'
  /** As the reference implementation wrote them, every left value zero: they say nothing about other frames. */
  | 'reference'
  /** The kind has none, or the frame lacks them. */
  | 'absent'
  /** By neither. */
  | 'other';

/** One frame read back from a file. */
export interface FileEntry {
  readonly frameIndex: number;
  readonly offset: number;
  readonly length: number;
  readonly envelope: DareEnvelope;
  readonly payloadDigest: Uint8Array;
  readonly digestRule: DigestRule;
  /** Whether `TreePosition`, where the kind has it, points to the right frame of this file. */
  readonly treePositionHolds: boolean;
}

/** A container file as read: its frames, the state to append on, and how much of the end was torn. */
export interface ReadContainer {
  readonly state: FileState;
  readonly entries: readonly FileEntry[];
  /** Octets behind the last sound frame; an append overwrites them. */
  readonly tornBytes: number;
}

const zeroDigest = new Uint8Array(64);

function ruleOf(stated: Uint8Array | undefined, byRule: Uint8Array, byReference: Uint8Array): DigestRule {
  if (stated === undefined) return 'absent';
  if (constantTimeEqual(stated, byRule)) return 'rule';
  return constantTimeEqual(stated, byReference) ? 'reference' : 'other';
}

/** What the reference wrote as tree digest: the rule with index n + 1 and zeros for every left value. */
function referenceTreeDigest(frameIndex: number, payloadDigest: Uint8Array): Uint8Array {
  let digest = payloadDigest;
  for (let rest = frameIndex + 2; rest % 2 === 0; rest /= 2) digest = sha512(zeroDigest, digest);
  return sha512(zeroDigest, digest);
}

function digestRuleOf(state: FileState, opened: DareEnvelope, payloadDigest: Uint8Array): DigestRule {
  const { header, trailer } = opened;
  if (state.type === 'Chain') {
    const stated = trailer.ChainDigest ?? header.ChainDigest;
    return ruleOf(stated, chainDigest(state.chain, payloadDigest), sha512(zeroDigest, payloadDigest));
  }
  if (state.type !== 'Merkle') return 'absent';
  const stated = trailer.TreeDigest ?? header.TreeDigest;
  const byRule = appendDare(state.tree, payloadDigest).treeDigest;
  return ruleOf(stated, byRule, referenceTreeDigest(state.frameCount, payloadDigest));
}

function typeOf(opened: DareEnvelope): ContainerType {
  const named = opened.header.ContainerInfo?.ContainerType;
  const type = containerTypes.find((known) => known === named);
  if (type === undefined) throw new DareError('container', 'frame 0 names no known kind of container');
  return type;
}

function entryOf(state: FileState, frame: FoundFrame, opened: DareEnvelope): FileEntry {
  const { header } = opened;
  if (header.ContainerInfo?.Index !== state.frameCount) {
    throw new DareError('container', `the frame at octet ${frame.offset} is not frame ${state.frameCount}`);
  }
  const payloadDigest = payloadDigestOf(opened);
  const position = hasTreePosition(state.type) ? nextTreePosition(state) : undefined;
  return {
    frameIndex: state.frameCount,
    offset: frame.offset,
    length: frame.length,
    envelope: opened,
    payloadDigest,
    digestRule: digestRuleOf(state, opened, payloadDigest),
    treePositionHolds: position === undefined || header.ContainerInfo.TreePosition === position,
  };
}

/**
 * Reads a container file: frames in order, indexes consecutive, payload digests recomputed; a torn end is left out.
 * Chain and tree digests and positions are judged, not enforced, since the reference wrote others.
 *
 * @param visit called for each frame instead of collecting them, for large files.
 * @throws DareError `container` for damage or a wrong index, `payload-digest`; EncodingError for a header that is no JSON.
 */
export function readContainer(source: OctetSource, visit?: (entry: FileEntry) => void): ReadContainer {
  const entries: FileEntry[] = [];
  let state: FileState | undefined;
  for (const frame of framesForward(source)) {
    const opened = openEnvelope(envelopeOfFrame(frame));
    state ??= emptyFile(typeOf(opened));
    const entry = entryOf(state, frame, opened);
    if (visit === undefined) entries.push(entry);
    else visit(entry);
    state = afterFrame(state, frame.length, entry.payloadDigest);
  }
  if (state === undefined) throw new DareError('container', 'the file holds no whole frame');
  return { state, entries, tornBytes: source.size - state.size };
}
