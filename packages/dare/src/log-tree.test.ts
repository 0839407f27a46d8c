import { sha256 } from '@meshd/crypto/digest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DareError } from './errors.js';
import {
  appendLeaf,
  consistencyProof,
  decodeEdge,
  emptyLog,
  emptyRoot,
  encodeEdge,
  inclusionProof,
  type LogState,
  nodeHash,
  root,
  verifyConsistency,
  verifyInclusion,
} from './log-tree.js';

const leavesOf = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => sha256(Buffer.from(`leaf ${at}`)));
const logOf = (leaves: readonly Uint8Array[]): LogState => leaves.reduce<LogState>(appendLeaf, emptyLog);
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

/** MTH of RFC 6962 2.1 as written. */
function rootFromScratch(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(rootFromScratch(leaves.slice(0, split)), rootFromScratch(leaves.slice(split)));
}

const sizes = fc.integer({ min: 1, max: 70 });

describe('appending', () => {
  test('[R024] is recomputing from scratch, at every length', () => {
    const leaves = leavesOf(130);
    for (let count = 0; count <= leaves.length; count += 1) {
      expect(text(root(logOf(leaves.slice(0, count))))).toBe(text(rootFromScratch(leaves.slice(0, count))));
    }
    expect(text(emptyRoot)).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU');
  });

  test('an edge written and read goes on the same', () => {
    const leaves = leavesOf(80);
    for (let count = 0; count < leaves.length; count += 1) {
      const again = decodeEdge(encodeEdge(logOf(leaves.slice(0, count))));
      expect(text(root(appendLeaf(again, leaves[count] as Uint8Array)))).toBe(
        text(root(logOf(leaves.slice(0, count + 1)))),
      );
    }
  });

  test('an edge of another size is refused', () => {
    const octets = encodeEdge(logOf(leavesOf(5)));
    expect(() => decodeEdge(octets.subarray(0, octets.length - 32))).toThrow(DareError);
    expect(() => decodeEdge(Buffer.concat([octets, Buffer.alloc(1)]))).toThrow(DareError);
    expect(() => appendLeaf(emptyLog, new Uint8Array(64))).toThrow(/32 octets/);
    expect(() => appendLeaf({ frameCount: 1, edge: [] }, new Uint8Array(32))).toThrow(/right edge/);
  });
});

describe('inclusion proofs', () => {
  test('[S46] every leaf of every tree up to 40 is proven, and only at its own index', () => {
    for (let count = 1; count <= 40; count += 1) {
      const leaves = leavesOf(count);
      const claimOf = (frameIndex: number) => ({
        frameIndex,
        frameCount: count,
        leaf: leaves[frameIndex] as Uint8Array,
        path: inclusionProof(leaves, frameIndex),
        root: root(logOf(leaves)),
      });
      for (let index = 0; index < count; index += 1) {
        const claim = claimOf(index);
        expect(verifyInclusion(claim)).toBe(true);
        // the path of another index proves nothing
        for (let other = 0; other < count; other += 1) {
          if (other !== index) expect(verifyInclusion({ ...claim, frameIndex: other })).toBe(false);
        }
      }
    }
    expect(() => inclusionProof(leavesOf(3), 3)).toThrow(RangeError);
  });

  test('[S46] a node too many, too few or changed is refused', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (count, pick, flip) => {
        const leaves = leavesOf(count);
        const frameIndex = pick % count;
        const path = inclusionProof(leaves, frameIndex);
        const claim = {
          frameIndex,
          frameCount: count,
          leaf: leaves[frameIndex] as Uint8Array,
          root: root(logOf(leaves)),
        };
        expect(verifyInclusion({ ...claim, path: [...path, sha256(new Uint8Array(1))] })).toBe(false);
        if (path.length === 0) return;
        expect(verifyInclusion({ ...claim, path: path.slice(1) })).toBe(false);
        const changed = path.map((hash) => Uint8Array.from(hash));
        const victim = changed[flip % changed.length] as Uint8Array;
        victim[flip % 32] = (victim[flip % 32] as number) ^ 1;
        expect(verifyInclusion({ ...claim, path: changed })).toBe(false);
      }),
    );
  });

  test('[S46] nonsense claims are false, not errors', () => {
    const claim = { frameIndex: 0, frameCount: 1, leaf: sha256(), path: [], root: sha256() };
    expect(verifyInclusion({ ...claim, frameIndex: 1 })).toBe(false);
    expect(verifyInclusion({ ...claim, frameIndex: -1 })).toBe(false);
    expect(verifyInclusion({ ...claim, frameIndex: 0.5 })).toBe(false);
    expect(verifyInclusion({ ...claim, frameCount: 2 ** 60 })).toBe(false);
    expect(verifyInclusion({ ...claim, leaf: new Uint8Array(3) })).toBe(false);
    expect(verifyInclusion({ ...claim, root: new Uint8Array(3) })).toBe(false);
  });
});

describe('consistency proofs', () => {
  const claimOf = (leaves: readonly Uint8Array[], from: number) => ({
    fromCount: from,
    toCount: leaves.length,
    fromRoot: root(logOf(leaves.slice(0, from))),
    toRoot: root(logOf(leaves)),
    path: consistencyProof(leaves, from),
  });

  test('[S46] every pair of sizes up to 40', () => {
    for (let to = 1; to <= 40; to += 1) {
      const leaves = leavesOf(to);
      for (let from = 1; from <= to; from += 1) {
        const claim = claimOf(leaves, from);
        expect(verifyConsistency(claim)).toBe(true);
        expect(verifyConsistency({ ...claim, fromRoot: sha256(Buffer.from('fork')) })).toBe(false);
        expect(verifyConsistency({ ...claim, toRoot: sha256(Buffer.from('fork')) })).toBe(false);
      }
    }
  });

  test('[S46] one node too many or too few is refused', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (to, pick) => {
        const leaves = leavesOf(to);
        const claim = claimOf(leaves, (pick % to) + 1);
        expect(verifyConsistency({ ...claim, path: [...claim.path, sha256()] })).toBe(false);
        if (claim.path.length > 0) expect(verifyConsistency({ ...claim, path: claim.path.slice(1) })).toBe(false);
      }),
    );
  });

  test('[S46] from nothing needs no proof, to less there is none', () => {
    const leaves = leavesOf(3);
    const claim = { fromCount: 0, toCount: 3, fromRoot: emptyRoot, toRoot: root(logOf(leaves)), path: [] };
    expect(verifyConsistency(claim)).toBe(true);
    expect(verifyConsistency({ ...claim, path: [sha256()] })).toBe(false);
    expect(verifyConsistency({ ...claim, fromCount: 4 })).toBe(false);
    expect(() => consistencyProof(leaves, 0)).toThrow(RangeError);
    expect(() => consistencyProof(leaves, 4)).toThrow(RangeError);
  });
});
