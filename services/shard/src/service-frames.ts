import type { HostIdentity } from '@meshd/binding/host-files';
import { concat, sha512 } from '@meshd/crypto/digest';
import type { Random } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type ContainerTrees, type FrameDraft, frameZero, type PlacedFrame, placeFrame } from '@meshd/dare/batch';
import { logId } from '@meshd/dare/core';
import { digestOf, type EnvelopeOctets, makeEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta, SignatureEntry } from '@meshd/dare/header';
import { appendLeafKeeping } from '@meshd/dare/log-proof';
import { decodeEdge, emptyLog, encodeEdge } from '@meshd/dare/log-tree';
import { apex, decodeTree, emptyDareTree, encodeTree } from '@meshd/dare/merkle';
import { headerWith, signatureEntry } from '@meshd/dare/sign';
import { encodeTagged, type ObjectTable } from '@meshd/encoding/codec';
import { itemContentType } from '@meshd/schema/container-name';
import type {
  CatalogKey,
  ContainerAppend,
  ContainerKind,
  ContainerState,
  ContainerWrite,
  FrameEvent,
  FrameWrite,
} from './storage/store.js';

/*
 * Frames that the service makes (encoding 3.9): frame 0 of the spools of an account, and entries of its own stores. They
 * have no container manifest; content rests on the host's signature, order on heads (S49).
 */

/** What signs for the host, and proves that it may (S26). */
export type HostSigner = Pick<HostIdentity, 'signingKey' | 'profileHost' | 'connectionHost'>;

const contentTypes = { catalog: 'application/mmm-catalog', spool: 'application/mmm-spool' } as const;
const noTrees: ContainerTrees = { tree: emptyDareTree, log: emptyLog };

/** An object signed by the host, not yet at a place in a container. */
export interface SignedObject {
  readonly payload: Uint8Array;
  readonly entry: SignatureEntry;
  /** Tag of the payload. */
  readonly type: string;
}

/** Signs a tagged object with the host's key, with the credentials that let a reader judge it alone (S26). */
export function signObject<T>(host: HostSigner, table: ObjectTable<T>, value: T): SignedObject {
  const payload = encodeTagged(table, value, 'json');
  const credentials = { Profile: host.profileHost, Connection: host.connectionHost };
  return { payload, entry: signatureEntry(host.signingKey, payload, credentials), type: table.name };
}

/** As {@link signObject}, on the thread pool: what waits for this thread meanwhile is not held up. With the payload's digest. */
export async function signObjectAsync<T>(
  host: HostSigner,
  table: ObjectTable<T>,
  value: T,
): Promise<SignedObject & { readonly digest: Uint8Array }> {
  const payload = encodeTagged(table, value, 'json');
  const digest = digestOf(payload);
  const { signingKey, profileHost: Profile, connectionHost: Connection } = host;
  const signature = await signingKey.signAsync(digest);
  const entry = { alg: 'S512', kid: signingKey.publicKey.udf, signature, Profile, Connection };
  return { payload, digest, entry, type: table.name };
}

/**
 * A tagged object under the host's signature, as an envelope of its own. Signed on the thread pool: heads are asked for with
 * every upload, and receipts are made for every message.
 */
export async function signEnvelopeOf<T>(host: HostSigner, table: ObjectTable<T>, value: T): Promise<EnvelopeOctets> {
  const { payload, digest, entry, type } = await signObjectAsync(host, table, value);
  const header = headerWith({}, { MessageType: type }, itemContentType);
  return makeEnvelope({ header, payload, trailer: { signatures: [entry], PayloadDigest: digest } });
}

function frameWrite(placed: PlacedFrame, before: ContainerTrees, payload: Uint8Array, entry?: ContentMeta): FrameWrite {
  return {
    ...placed.envelope,
    payloadDigest: sha512(payload),
    treeDigest: apex(placed.tree) as Uint8Array,
    leaf: placed.leaf,
    nodes: concat(...appendLeafKeeping(before.log, placed.leaf).completed),
    ...(entry?.UniqueID === undefined ? {} : { uniqueId: entry.UniqueID }),
    ...(entry?.Event === undefined ? {} : { event: entry.Event as FrameEvent }),
  };
}

function appendOf(placed: PlacedFrame, frame: FrameWrite, keys: readonly CatalogKey[]): ContainerAppend {
  return {
    frames: [frame],
    dareTree: encodeTree(placed.tree),
    logTree: encodeEdge(placed.log),
    manifestFrom: placed.log.frameCount,
    keys,
  };
}

/**
 * Puts messages made by the service behind the end of a spool. Their identifiers are fresh: they are keys of their own.
 *
 * @param messages at least one.
 */
export function appendMessages(
  container: ContainerState,
  messages: readonly { readonly signed: SignedObject; readonly uniqueId: string; readonly createdMs: number }[],
): ContainerAppend {
  let trees: ContainerTrees = { tree: decodeTree(container.dareTree), log: decodeEdge(container.logTree) };
  const frames: FrameWrite[] = [];
  const keys: CatalogKey[] = [];
  for (const { signed, uniqueId, createdMs } of messages) {
    const contentMeta = {
      ...{ UniqueID: uniqueId, MessageType: signed.type, cty: 'application/mmm', Created: new Date(createdMs) },
    };
    const index = trees.log.frameCount;
    const placed = placeFrame({ contentMeta, payload: signed.payload }, trees, () => [signed.entry]);
    frames.push(frameWrite(placed, trees, signed.payload, contentMeta));
    keys.push({ uniqueId, latestIndex: index, firstIndex: index, deleted: false });
    trees = placed;
  }
  const { tree, log } = trees;
  return { frames, dareTree: encodeTree(tree), logTree: encodeEdge(log), manifestFrom: log.frameCount, keys };
}

/**
 * Puts a signed object behind the end of a container. What depends on the place stands outside the signature.
 *
 * @param key where the entry's key stands after the frame.
 */
export function appendObject(
  container: ContainerState,
  signed: SignedObject,
  meta: ContentMeta,
  key: Omit<CatalogKey, 'latestIndex'>,
): ContainerAppend {
  const trees = { tree: decodeTree(container.dareTree), log: decodeEdge(container.logTree) };
  const contentMeta: ContentMeta = { MessageType: signed.type, cty: 'application/mmm', ...meta };
  const draft: FrameDraft = { contentMeta, payload: signed.payload };
  const placed = placeFrame(draft, trees, () => [signed.entry]);
  const keys = [{ ...key, latestIndex: container.frameCount }];
  return appendOf(placed, frameWrite(placed, trees, signed.payload, contentMeta), keys);
}

/**
 * Opens a container with a frame 0 of the service. Its fresh identifier and time make the container another one each
 * time it is opened, so that a re-created spool does not continue the old log (S49).
 *
 * @param ownerUdf UDF of the ProfileAccount; for stores of `@service` that of the ProfileService (S44).
 */
export function openOwn(
  name: string,
  kind: ContainerKind,
  ownerUdf: string,
  nowMs: number,
  random: Random,
): ContainerWrite {
  const draft = frameZero({ contentType: contentTypes[kind], uniqueId: nonceUdf(random), createdMs: nowMs });
  const placed = placeFrame(draft, noTrees);
  return {
    ...appendOf(placed, frameWrite(placed, noTrees, draft.payload), []),
    name,
    expectedFrameCount: 0,
    open: { kind, legacy: false, logId: logId(ownerUdf, name, placed.leaf) },
  };
}
