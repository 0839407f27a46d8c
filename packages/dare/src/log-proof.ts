import { DareError } from './errors.js';
import { appendLeaf, emptyRoot, type LogState, nodeHash, splitPoint } from './log-tree.js';

/*
 * Proofs of the second tree (S46) from stored nodes instead of from all leaves. Every perfect subtree of an RFC 6962 tree
 * is complete once its last leaf is there, and never changes: whoever keeps its root when it is completed can make any
 * proof, also for earlier sizes, from about 2 log2(n) of them.
 */

/** A perfect subtree: leaves `position * 2^level` up to the next position. Level 0 are the leaves. */
export interface NodeName {
  readonly level: number;
  readonly position: number;
}

/** Leaves `start` up to, not including, `end`; its root is one hash of a proof. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** Looks a stored node up. */
export type NodeLookup = (name: NodeName) => Uint8Array | undefined;

/**
 * Appends a leaf and tells the subtrees that it completes.
 *
 * @returns `completed`: roots of the perfect subtrees that end with this leaf, from level 1 upwards; as many as the
 *   leaf's index ends in one bits.
 */
export function appendLeafKeeping(state: LogState, leaf: Uint8Array): { log: LogState; completed: Uint8Array[] } {
  const log = appendLeaf(state, leaf);
  const completed: Uint8Array[] = [];
  let subtree = leaf;
  let left = state.edge.length - 1;
  for (let rest = state.frameCount; rest % 2 === 1; rest = (rest - 1) / 2) {
    subtree = nodeHash(state.edge[left] as Uint8Array, subtree);
    completed.push(subtree);
    left -= 1;
  }
  return { log, completed };
}

/** The leaf with whose arrival a perfect subtree is complete. */
export function completingLeaf({ level, position }: NodeName): number {
  return (position + 1) * 2 ** level - 1;
}

/** The perfect subtrees that a range consists of, largest first, as the tree is built (RFC 6962 2.1). */
export function nodesOfRange({ start, end }: LeafRange): NodeName[] {
  const names: NodeName[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level += 1;
    names.push({ level, position: at / 2 ** level });
    at += 2 ** level;
  }
  return names;
}

/**
 * The ranges whose roots are the audit path of a leaf, lowest sibling first (RFC 6962 2.1.1).
 *
 * @throws RangeError if there is no such leaf.
 */
export function inclusionRanges(frameIndex: number, frameCount: number): LeafRange[] {
  if (!(frameIndex >= 0 && frameIndex < frameCount)) throw new RangeError(`no leaf ${frameIndex}`);
  const path: LeafRange[] = [];
  let start = 0;
  let end = frameCount;
  while (end - start > 1) {
    const split = start + splitPoint(end - start);
    if (frameIndex < split) {
      path.push({ start: split, end });
      end = split;
    } else {
      path.push({ start, end: split });
      start = split;
    }
  }
  return path.reverse();
}

/**
 * The ranges whose roots prove that the tree of the first `fromCount` leaves is the beginning of that of `frameCount`
 * (RFC 6962 2.1.2). None from nothing, and none from the whole.
 *
 * @throws RangeError unless 0 <= fromCount <= frameCount.
 */
export function consistencyRanges(fromCount: number, frameCount: number): LeafRange[] {
  if (!(fromCount >= 0 && fromCount <= frameCount)) throw new RangeError(`no consistency proof from ${fromCount}`);
  if (fromCount === 0) return [];
  const path: LeafRange[] = [];
  let start = 0;
  let end = frameCount;
  let count = fromCount;
  // While the old tree is a left half as a whole, its root is one that the verifier holds already.
  let whole = true;
  while (count < end - start) {
    const half = splitPoint(end - start);
    if (count <= half) {
      path.push({ start: start + half, end });
      end = start + half;
    } else {
      path.push({ start, end: start + half });
      start += half;
      count -= half;
      whole = false;
    }
  }
  if (!whole) path.push({ start, end });
  return path.reverse();
}

/**
 * The root over a range, from stored nodes.
 *
 * @throws DareError `tree-state` when a node is missing.
 */
export function rootOfRange(range: LeafRange, lookUp: NodeLookup): Uint8Array {
  const names = nodesOfRange(range);
  if (names.length === 0) return emptyRoot;
  const hashes = names.map((name) => {
    const hash = lookUp(name);
    if (hash === undefined) throw new DareError('tree-state', `no node ${name.level}/${name.position}`);
    return hash;
  });
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}
