import { sha512 } from '@meshd/crypto/digest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DareError } from './errors.js';
import {
  apex,
  appendDare,
  chainDigest,
  decodeTree,
  emptyDareTree,
  encodeTree,
  previousFrame,
  type TreeState,
} from './merkle.js';
import { b64, vectorsOf } from './vectors.fixture.js';

const text = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('base64url');

/** The rule of encoding 3.6 as written, with every earlier digest at hand. */
function treeDigestsFromScratch(payloadDigests: readonly Uint8Array[]): Uint8Array[] {
  const trees: Uint8Array[] = [];
  const T = (index: number): Uint8Array => (index < 0 ? new Uint8Array(64) : (trees[index] as Uint8Array));
  for (let n = 0; n < payloadDigests.length; n += 1) {
    let c = payloadDigests[n] as Uint8Array;
    let m = n + 1;
    let d = 1;
    while (m % 2 === 0) {
      c = sha512(T(n - d), c);
      d *= 2;
      m /= 2;
    }
    trees.push(sha512(T(m === 1 ? Math.floor(d / 2) - 1 : n - d), c));
  }
  return trees;
}

function appendAll(payloadDigests: readonly Uint8Array[]): { state: TreeState; digests: Uint8Array[] } {
  let state = emptyDareTree;
  const digests = payloadDigests.map((digest) => {
    const next = appendDare(state, digest);
    state = next.state;
    return next.treeDigest;
  });
  return { state, digests };
}

const digestsOf = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => sha512(Buffer.from(`${at}`)));

describe('published and proposed vectors', () => {
  test('previous frame function', () => {
    for (const { input, expected } of vectorsOf('container.json', 'previousFrame')) {
      expect(input.frames.map(previousFrame)).toEqual(expected);
    }
    expect(() => previousFrame(0)).toThrow(RangeError);
  });

  test('combine digest: the first frame has 64 zero octets on its left', () => {
    for (const { input, expected } of vectorsOf('container.json', 'combineDigest')) {
      expect(text(chainDigest(undefined, b64(input.right)))).toBe(expected);
    }
  });

  test('legacy chain: what the reference wrote is the first digest over and over', () => {
    for (const { input, expected } of vectorsOf('container.json', 'legacyChain')) {
      for (const _ of input.frames) expect(text(chainDigest(undefined, b64(input.payloadDigest)))).toBe(expected);
    }
  });

  test('payload digest', () => {
    for (const { input, expected } of vectorsOf('container.json', 'payloadDigest')) {
      expect(text(sha512(Buffer.from(input.payloadHex, 'hex')))).toBe(expected);
    }
  });

  test('[R024] chain rule', () => {
    for (const { input, expected } of vectorsOf('container.json', 'chain')) {
      let chain: Uint8Array | undefined;
      const chained = input.payloadDigests.map((digest: string) => {
        chain = chainDigest(chain, b64(digest));
        return text(chain);
      });
      expect(chained).toEqual(expected);
    }
  });

  test('[R024] [R229] Merkle rule', () => {
    for (const { input, expected } of vectorsOf('container.json', 'merkle')) {
      const { state, digests } = appendAll(input.payloadDigests.map(b64));
      expect(digests.map(text)).toEqual(expected);
      expect(text(apex(state))).toBe(expected.at(-1));
    }
  });
});

describe('appending from O(log n) state', () => {
  test('[R024] is recomputing from scratch, at every length', () => {
    const payloads = digestsOf(300);
    expect(appendAll(payloads).digests.map(text)).toEqual(treeDigestsFromScratch(payloads).map(text));
  });

  test('state keeps one digest a level', () => {
    expect(appendAll(digestsOf(1000)).state.levels.length).toBe(10);
  });

  test('a state written and read goes on the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 1, max: 20 }), (before, more) => {
        const payloads = digestsOf(before + more);
        const { state } = appendAll(payloads.slice(0, before));
        let again = decodeTree(encodeTree(state));
        for (const digest of payloads.slice(before)) again = appendDare(again, digest).state;
        expect(text(apex(again))).toBe(text(apex(appendAll(payloads).state)));
      }),
      { numRuns: 60 },
    );
  });

  test('the states of an earlier moment stay usable', () => {
    const [first, second] = digestsOf(2) as [Uint8Array, Uint8Array];
    const one = appendDare(emptyDareTree, first).state;
    const before = text(encodeTree(one));
    appendDare(one, second);
    expect(text(encodeTree(one))).toBe(before);
    expect(apex(emptyDareTree)).toBeUndefined();
  });

  test('a state of another size and a digest of another size are refused', () => {
    const octets = encodeTree(appendAll(digestsOf(5)).state);
    expect(() => decodeTree(octets.subarray(0, octets.length - 1))).toThrow(DareError);
    expect(() => decodeTree(new Uint8Array(3))).toThrow(DareError);
    expect(() => decodeTree(Buffer.alloc(8, 0xff))).toThrow(/2\^53/);
    expect(() => appendDare(emptyDareTree, new Uint8Array(32))).toThrow(/64 expected/);
  });

  test('a state without the digest that is due is refused, not guessed', () => {
    expect(() => appendDare({ frameCount: 4, levels: [] }, new Uint8Array(64))).toThrow(/lacks/);
  });
});
