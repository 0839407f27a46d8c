import { concat, constantTimeEqual, sha256, u64 } from '@meshd/crypto/digest';
import { DareError } from './errors.js';
import { readCount } from './merkle.js';

/*
 * The second tree over a container (S44): RFC 6962 with SHA-256 over the leaves of all frames, frame 0 included.
 *
 * A tree of n leaves is held as its right edge: the roots of the perfect subtrees that n's binary digits name, largest
 * first. Appending a leaf merges equal neighbours like the carry of an addition; the root folds the edge from the
 * right. Proofs need the leaves (or stored nodes) and are made here from a list of leaves.
 */

const hashSize = 32;
const nodePrefix = Uint8Array.of(0x01);

/** Root of a tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0));

/** The right edge of an RFC 6962 tree, O(log n). */
export interface LogState {
  /** Number of leaves, one a frame. */
  readonly frameCount: number;
  /** Roots of the perfect subtrees, largest (leftmost) first; as many as `frameCount` has one bits. */
  readonly edge: readonly Uint8Array[];
}

/** The log of a container without frames. */
export const emptyLog: LogState = { frameCount: 0, edge: [] };

/** SHA-256(01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(nodePrefix, left, right);
}

function expectHash(hash: Uint8Array | undefined, what: string): Uint8Array {
  if (hash?.length !== hashSize) throw new DareError('tree-state', `${what} is not a hash of 32 octets`);
  return hash;
}

/** Appends one leaf (S44 leaf of the next frame); amortised one node hash. */
export function appendLeaf(state: LogState, leaf: Uint8Array): LogState {
  expectHash(leaf, 'leaf');
  const edge = state.edge.slice();
  let subtree = leaf;
  for (let rest = state.frameCount; rest % 2 === 1; rest = (rest - 1) / 2) {
    subtree = nodeHash(expectHash(edge.pop(), 'right edge'), subtree);
  }
  edge.push(subtree);
  return { frameCount: state.frameCount + 1, edge };
}

/** Root over all leaves so far: at most log2(n) node hashes, so ask once a batch. */
export function root(state: LogState): Uint8Array {
  if (state.frameCount === 0) return emptyRoot;
  return state.edge.reduceRight((right, left) => nodeHash(left, right));
}

/** Writes the right edge for a database row: u64 leaf count, then the 32-octet hashes, largest subtree first. */
export function encodeEdge(state: LogState): Uint8Array {
  return concat(u64(state.frameCount), ...state.edge);
}

function oneBits(value: number): number {
  let ones = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}

/**
 * Reads what {@link encodeEdge} wrote.
 *
 * @throws DareError `tree-state` if the size does not fit the leaf count.
 */
export function decodeEdge(octets: Uint8Array): LogState {
  const frameCount = readCount(octets);
  const edgeSize = oneBits(frameCount);
  if (octets.length !== 8 + edgeSize * hashSize) {
    throw new DareError('tree-state', `right edge of ${octets.length} octets does not fit ${frameCount} leaves`);
  }
  const edge = Array.from({ length: edgeSize }, (_, at) => octets.subarray(8 + at * hashSize, 8 + (at + 1) * hashSize));
  return { frameCount, edge };
}

/** Largest power of two below n; n > 1 (RFC 6962 2.1: where a tree is split). */
export function splitPoint(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/** MTH of RFC 6962 2.1 over leaf hashes; the recursion halves, so its depth is log2(n). */
function rootOfLeaves(leaves: readonly Uint8Array[], start: number, end: number): Uint8Array {
  if (end - start === 0) return emptyRoot;
  if (end - start === 1) return expectHash(leaves[start], 'leaf');
  const split = start + splitPoint(end - start);
  return nodeHash(rootOfLeaves(leaves, start, split), rootOfLeaves(leaves, split, end));
}

/**
 * The audit path of RFC 6962 2.1.1, lowest sibling first.
 *
 * @param leaves leaf hashes of the whole tree.
 * @throws RangeError if there is no such leaf.
 */
export function inclusionProof(leaves: readonly Uint8Array[], frameIndex: number): Uint8Array[] {
  if (!(frameIndex >= 0 && frameIndex < leaves.length)) throw new RangeError(`no leaf ${frameIndex}`);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = leaves.length;
  while (end - start > 1) {
    const split = start + splitPoint(end - start);
    if (frameIndex < split) {
      path.push(rootOfLeaves(leaves, split, end));
      end = split;
    } else {
      path.push(rootOfLeaves(leaves, start, split));
      start = split;
    }
  }
  return path.reverse();
}

/**
 * The consistency proof of RFC 6962 2.1.2 from the tree of the first `fromCount` leaves to that of all.
 *
 * @throws RangeError unless 0 < fromCount <= leaves.length; a tree of no leaves needs no proof.
 */
export function consistencyProof(leaves: readonly Uint8Array[], fromCount: number): Uint8Array[] {
  if (!(fromCount > 0 && fromCount <= leaves.length)) throw new RangeError(`no consistency proof from ${fromCount}`);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = leaves.length;
  let count = fromCount;
  // While the old tree ends at the start of this sub-tree's left half, its root is one that the verifier holds already.
  let whole = true;
  while (count < end - start) {
    const half = splitPoint(end - start);
    if (count <= half) {
      path.push(rootOfLeaves(leaves, start + half, end));
      end = start + half;
    } else {
      path.push(rootOfLeaves(leaves, start, start + half));
      start += half;
      count -= half;
      whole = false;
    }
  }
  if (!whole) path.push(rootOfLeaves(leaves, start, end));
  return path.reverse();
}

const hashesWellFormed = (path: readonly Uint8Array[]): boolean => path.every((hash) => hash.length === hashSize);

/** A claim that a leaf stands at an index of the tree with a given root. */
export interface InclusionClaim {
  readonly frameIndex: number;
  readonly frameCount: number;
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** Verifies an audit path by the procedure of RFC 9162 2.1.3.2; a path of another length than the exact one is false. */
export function verifyInclusion(claim: InclusionClaim): boolean {
  const { frameIndex, frameCount, leaf, path } = claim;
  if (!Number.isSafeInteger(frameIndex) || !Number.isSafeInteger(frameCount)) return false;
  if (frameIndex < 0 || frameIndex >= frameCount || leaf.length !== hashSize || !hashesWellFormed(path)) return false;
  let node = frameIndex;
  let last = frameCount - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // A last node without right neighbour rises until it is a right child (or the root).
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && constantTimeEqual(hash, claim.root);
}

/** A claim that one tree is the beginning of another. */
export interface ConsistencyClaim {
  readonly fromCount: number;
  readonly toCount: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/** Verifies a consistency proof by the procedure of RFC 9162 2.1.4.2; superfluous nodes make it false. */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { fromCount, toCount, fromRoot, toRoot, path } = claim;
  if (!Number.isSafeInteger(fromCount) || !Number.isSafeInteger(toCount)) return false;
  if (fromCount < 0 || fromCount > toCount || !hashesWellFormed(path)) return false;
  if (fromCount === 0) return path.length === 0 && constantTimeEqual(fromRoot, emptyRoot);
  if (fromCount === toCount) return path.length === 0 && constantTimeEqual(fromRoot, toRoot);
  return replayConsistency(claim);
}

function replayConsistency(claim: ConsistencyClaim): boolean {
  const { fromCount, toCount, fromRoot, toRoot, path } = claim;
  // An old tree of 2^k leaves is itself a node of the new one and not repeated in the proof.
  const nodes = oneBits(fromCount) === 1 ? [fromRoot, ...path] : path;
  const [seed, ...steps] = nodes;
  if (seed === undefined) return false;
  let node = fromCount - 1;
  let last = toCount - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  let oldHash = seed;
  let newHash = seed;
  for (const step of steps) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(step, oldHash);
      newHash = nodeHash(step, newHash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(newHash, step);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && constantTimeEqual(oldHash, fromRoot) && constantTimeEqual(newHash, toRoot);
}
