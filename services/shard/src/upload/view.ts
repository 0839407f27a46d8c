import { concat } from '@meshd/crypto/digest';
import { appendLeafKeeping } from '@meshd/dare/log-proof';
import { decodeEdge, emptyLog, type LogState } from '@meshd/dare/log-tree';
import { appendDare, decodeTree, emptyDareTree, type TreeState } from '@meshd/dare/merkle';
import type { ContainerKind, ContainerState } from '../storage/store.js';
import type { Opening } from './frame-zero.js';

/** What the rules know of a container. Values never change; a batch yields another view. */
export interface ContainerView {
  readonly name: string;
  /** Catalogs are keyed by `UniqueID` and replayed; in a spool every frame is a message of its own. */
  readonly kind: ContainerKind;
  /** Opened without a manifest in frame 0: stored as the draft says, without the rules of S42 (S49). */
  readonly legacy: boolean;
  readonly frameCount: number;
  /** First index that no manifest covers yet. */
  readonly manifestFrom: number;
  /** The DARE tree, for `ContainerStatus.Digest`. */
  readonly dareTree: TreeState;
  /** The RFC 6962 tree, for manifests and proofs (S44). */
  readonly logTree: LogState;
}

/** Where a key stands in a catalog, by replaying its frames. */
export interface KeyState {
  /** Index of the frame that made the current instance. */
  readonly current: number;
  /** Index of the frame that made the first instance since the key was last free. */
  readonly first: number;
}

/** What a frame adds to the trees. */
export interface TreeLeaf {
  readonly payloadDigest: Uint8Array;
  /** Leaf of S44 at the frame's index. */
  readonly leaf: Uint8Array;
}

/** A stored container with its trees unpacked. */
export function viewOf(state: ContainerState): ContainerView {
  const { name, kind, legacy, frameCount, manifestFrom } = state;
  const dareTree = decodeTree(state.dareTree);
  return { name, kind, legacy, frameCount, manifestFrom, dareTree, logTree: decodeEdge(state.logTree) };
}

/** A container that its frame 0 is about to open. */
export function emptyView(name: string, opening: Opening): ContainerView {
  return { name, ...opening, frameCount: 0, manifestFrom: 0, dareTree: emptyDareTree, logTree: emptyLog };
}

/** What a frame is stored with, and the view after it. */
export interface AppendedFrame {
  readonly view: ContainerView;
  /** T(n), the DARE tree digest. */
  readonly treeDigest: Uint8Array;
  /** Nodes of the log that the frame completes, for proofs. */
  readonly nodes: Uint8Array;
}

/** Appends one frame. */
export function appendFrame(view: ContainerView, added: TreeLeaf): AppendedFrame {
  const { state: dareTree, treeDigest } = appendDare(view.dareTree, added.payloadDigest);
  const { log: logTree, completed } = appendLeafKeeping(view.logTree, added.leaf);
  const after = { ...view, frameCount: view.frameCount + 1, dareTree, logTree };
  return { view: after, treeDigest, nodes: concat(...completed) };
}
