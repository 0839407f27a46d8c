import { sha256 } from '@meshd/crypto/digest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appendLeafKeeping,
  completingLeaf,
  consistencyRanges,
  inclusionRanges,
  type NodeLookup,
  rootOfRange,
} from './log-proof.js';
import { appendLeaf, consistencyProof, emptyLog, inclusionProof, root, verifyInclusion } from './log-tree.js';

/** A tree with what a store keeps of it: the subtrees that each leaf completes. */
function tree(size: number) {
  const leaves = Array.from({ length: size }, (_, at) => sha256(Uint8Array.of(at % 256, at >> 8)));
  const kept: Uint8Array[][] = [];
  let log = emptyLog;
  for (const leaf of leaves) {
    const next = appendLeafKeeping(log, leaf);
    kept.push(next.completed);
    log = next.log;
  }
  const lookUp: NodeLookup = (name) => {
    const at = completingLeaf(name);
    return name.level === 0 ? leaves[at] : kept[at]?.[name.level - 1];
  };
  return { leaves, log, lookUp };
}

describe('proofs from stored nodes', () => {
  test('[S44] appending keeps the same tree', () => {
    const { leaves, log } = tree(37);
    expect(log).toEqual(leaves.reduce(appendLeaf, emptyLog));
  });

  test('[S46] are those made from all leaves, for every index and size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (size, index, from) => {
        const { leaves, lookUp } = tree(size);
        const at = index % size;
        const path = inclusionRanges(at, size).map((range) => rootOfRange(range, lookUp));
        expect(path).toEqual(inclusionProof(leaves, at));
        const fromCount = 1 + (from % size);
        const consistency = consistencyRanges(fromCount, size).map((range) => rootOfRange(range, lookUp));
        expect(consistency).toEqual(consistencyProof(leaves, fromCount));
      }),
    );
  });

  test('[S46] can be made for an earlier size', () => {
    const { leaves, lookUp } = tree(50);
    const path = inclusionRanges(3, 21).map((range) => rootOfRange(range, lookUp));
    const earlier = root(leaves.slice(0, 21).reduce(appendLeaf, emptyLog));
    const leaf = leaves[3] as Uint8Array;
    expect(verifyInclusion({ frameIndex: 3, frameCount: 21, leaf, path, root: earlier })).toBe(true);
  });

  test('need few nodes, and all of them', () => {
    expect(inclusionRanges(123_456, 1_000_000).length).toBeLessThanOrEqual(20);
    expect(() => rootOfRange({ start: 0, end: 3 }, () => undefined)).toThrow(/no node/);
    expect(() => inclusionRanges(3, 3)).toThrow(RangeError);
    expect(() => consistencyRanges(4, 3)).toThrow(RangeError);
  });
});
