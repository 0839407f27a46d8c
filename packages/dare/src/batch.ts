import { sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { coreOfFrame, leafOfFrame } from './core.js';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import type { ContentMeta, Header, SignatureEntry } from './header.js';
import { appendLeaf, type LogState, root } from './log-tree.js';
import { manifestAlgorithm, manifestKinds, signManifest } from './manifest.js';
import { appendDare, type TreeState } from './merkle.js';
import { type EntryMembers, headerWith } from './sign.js';

/*
 * Making frames for an upload (S42). The writer carries both trees of the container from batch to batch; the last
 * frame of a batch bears one manifest for all of them, and frame 0, which opens a container, one of its own.
 */

/** A frame before its place is known. */
export interface FrameDraft {
  readonly contentMeta: ContentMeta;
  /** Encryption members and the like; `ContainerInfo` is added. */
  readonly header?: Header;
  /** Empty for frame 0 and for a Delete. */
  readonly payload: Uint8Array;
}

/** Both trees of a container, after some number of frames. */
export interface ContainerTrees {
  readonly tree: TreeState;
  readonly log: LogState;
}

/** Who writes where, and on top of what. */
export interface BatchContext extends ContainerTrees {
  readonly signer: SigningKey;
  /** Members of the manifests' signature entries. */
  readonly entryMembers?: EntryMembers;
  /** UDF of the account's `ProfileAccount`. */
  readonly accountUdf: string;
  readonly container: string;
  readonly createdMs: number;
}

/** Envelopes ready for upload and the trees after them. */
export interface SealedBatch extends ContainerTrees {
  readonly envelopes: readonly EnvelopeOctets[];
  /** S44 leaves of the envelopes, in order. */
  readonly leaves: readonly Uint8Array[];
}

/** One frame, made and put into the trees. */
export interface PlacedFrame extends ContainerTrees {
  readonly envelope: EnvelopeOctets;
  readonly core: Uint8Array;
  readonly leaf: Uint8Array;
}

/** Draft of frame 0 of a Mesh store (encoding 3.9). `uniqueId` is a fresh nonce UDF, so that no two logs are alike. */
export function frameZero(options: {
  readonly contentType: 'application/mmm-catalog' | 'application/mmm-spool';
  readonly uniqueId: string;
  readonly createdMs: number;
}): FrameDraft {
  return {
    contentMeta: { UniqueID: options.uniqueId, cty: options.contentType, Created: new Date(options.createdMs) },
    header: { ContainerInfo: { DataEncoding: 'JSON', Index: 0, ContainerType: 'Merkle' } },
    payload: new Uint8Array(0),
  };
}

function headerAt(draft: FrameDraft, frameIndex: number): Header {
  const info = { ...draft.header?.ContainerInfo, Index: frameIndex };
  return headerWith({ ...draft.header, ContainerInfo: info }, draft.contentMeta);
}

/**
 * Makes the frame at the end of the trees.
 *
 * @param prove gives the signature entries for the frame's core; none for frames whose proof is elsewhere.
 */
export function placeFrame(
  draft: FrameDraft,
  trees: ContainerTrees,
  prove: (core: Uint8Array, frameIndex: number) => readonly SignatureEntry[] = () => [],
): PlacedFrame {
  const frameIndex = trees.log.frameCount;
  if (frameIndex !== trees.tree.frameCount) throw new DareError('tree-state', 'the two trees differ in length');
  const payloadDigest = sha512(draft.payload);
  const { state: tree, treeDigest } = appendDare(trees.tree, payloadDigest);
  const bare = makeEnvelope({ header: headerAt(draft, frameIndex), payload: draft.payload });
  const core = coreOfFrame(openEnvelope(bare), payloadDigest);
  const signatures = [...prove(core, frameIndex)];
  const trailer = { signatures, PayloadDigest: payloadDigest, TreeDigest: treeDigest };
  const envelope = { ...bare, trailer: makeEnvelope({ header: {}, payload: null, trailer }).trailer };
  const leaf = leafOfFrame(frameIndex, core, signatures);
  return { envelope, core, leaf, tree, log: appendLeaf(trees.log, leaf) };
}

function manifestEntry(context: BatchContext, log: LogState, core: Uint8Array, from: number): SignatureEntry {
  const fields = {
    kind: manifestKinds.frame,
    from,
    index: log.frameCount,
    root: root(log),
    createdMs: context.createdMs,
    subject: context.accountUdf,
    object: context.container,
  };
  const Manifest = signManifest(context.signer, fields, core);
  return { alg: manifestAlgorithm, kid: context.signer.publicKey.udf, ...context.entryMembers, Manifest };
}

/**
 * Makes the envelopes of one upload: indexes, digests, tree digests, and the manifests of S42.
 *
 * @param drafts the first one is frame 0 if the container does not exist yet ({@link frameZero}).
 * @throws DareError `limit` for no drafts at all.
 */
export function sealBatch(drafts: readonly FrameDraft[], context: BatchContext): SealedBatch {
  if (drafts.length === 0) throw new DareError('limit', 'a batch holds at least one frame');
  const opening = context.log.frameCount === 0;
  // Frame 0 vouches for itself, so that a container's identity does not hang on its first batch.
  const from = opening ? 1 : context.log.frameCount;
  const envelopes: EnvelopeOctets[] = [];
  const leaves: Uint8Array[] = [];
  let trees: ContainerTrees = { tree: context.tree, log: context.log };
  for (const [at, draft] of drafts.entries()) {
    const { log } = trees;
    const isZero = opening && at === 0;
    const placed = placeFrame(draft, trees, (core) =>
      isZero || at === drafts.length - 1 ? [manifestEntry(context, log, core, isZero ? 0 : from)] : [],
    );
    envelopes.push(placed.envelope);
    leaves.push(placed.leaf);
    trees = { tree: placed.tree, log: placed.log };
  }
  return { ...trees, envelopes, leaves };
}
