import { concat, sha512, u64 } from '@meshd/crypto/digest';
import { DareError } from './errors.js';

/*
 * The digest rules of DARE containers (encoding rules 3.4 to 3.6) as pure functions.
 *
 * T(n), the tree digest of frame n, is computed from P(n) and the tree digests of at most 1 + log2(n) earlier frames.
 * Every one of these is the *newest* frame of its level, where the level of frame i is the number of trailing zero
 * bits of i + 1: for n + 1 = 2^k * odd the rule reads T(n - 2^j) for j < k, which has level j and no newer neighbour of
 * that level before n, and at last one frame whose i + 1 is a multiple of 2^(k+1). So one digest a level is the whole
 * state, and no earlier frame is read again.
 */

const digestSize = 64;
const zeroDigest: Uint8Array = new Uint8Array(digestSize);

/** What an append to the DARE tree needs to know of the frames before: one tree digest a level, O(log n). */
export interface TreeState {
  /** Number of frames appended so far. */
  readonly frameCount: number;
  /** `levels[k]` is T(i) of the newest frame i whose i + 1 has exactly k trailing zero bits. */
  readonly levels: readonly Uint8Array[];
}

/** The tree of a container without frames. */
export const emptyDareTree: TreeState = { frameCount: 0, levels: [] };

/** Number of trailing zero bits; arithmetic instead of bit operators, which end at 32 bits. `value` > 0. */
function trailingZeros(value: number): number {
  let zeros = 0;
  for (let rest = value; rest % 2 === 0; rest /= 2) zeros += 1;
  return zeros;
}

function expectDigest(digest: Uint8Array): void {
  if (digest.length !== digestSize) {
    throw new DareError('algorithm', `a payload digest of ${digest.length} octets cannot enter the tree: 64 expected`);
  }
}

/** T of an earlier frame, -1 standing for the 64 zero octets before the first one. */
function treeDigestAt(state: TreeState, frameIndex: number): Uint8Array {
  if (frameIndex < 0) return zeroDigest;
  const digest = state.levels[trailingZeros(frameIndex + 1)];
  if (digest === undefined) throw new DareError('tree-state', `the tree state lacks the digest of frame ${frameIndex}`);
  return digest;
}

/**
 * Appends one frame by the Merkle rule of encoding 3.6.
 *
 * @param payloadDigest SHA-2-512 of the frame's payload octets, 64 octets.
 * @returns the state after the frame and T(n), the frame's tree digest.
 * @throws DareError `algorithm` for a digest of another size, `tree-state` for a state that contradicts itself.
 */
export function appendDare(
  state: TreeState,
  payloadDigest: Uint8Array,
): { readonly state: TreeState; readonly treeDigest: Uint8Array } {
  expectDigest(payloadDigest);
  const index = state.frameCount;
  let digest = payloadDigest;
  let rest = index + 1;
  let distance = 1;
  let level = 0;
  for (; rest % 2 === 0; rest /= 2) {
    digest = sha512(treeDigestAt(state, index - distance), digest);
    distance *= 2;
    level += 1;
  }
  const left = rest === 1 ? Math.floor(distance / 2) - 1 : index - distance;
  const treeDigest = sha512(treeDigestAt(state, left), digest);
  const levels = state.levels.slice();
  levels[level] = treeDigest;
  return { state: { frameCount: index + 1, levels }, treeDigest };
}

/**
 * The tree digest of the last frame, which commits to every payload: `ContainerStatus.Digest` of a `Merkle` container.
 *
 * @returns undefined for a container without frames.
 */
export function apex(state: TreeState): Uint8Array | undefined {
  return state.frameCount === 0 ? undefined : treeDigestAt(state, state.frameCount - 1);
}

/** Writes the state for a database row: u64 frame count, then the 64-octet digests of the levels in order. */
export function encodeTree(state: TreeState): Uint8Array {
  return concat(u64(state.frameCount), ...state.levels);
}

/**
 * Reads what {@link encodeTree} wrote.
 *
 * @throws DareError `tree-state` if the size does not fit the frame count.
 */
export function decodeTree(octets: Uint8Array): TreeState {
  const frameCount = readCount(octets);
  // After n frames the levels 0 .. floor(log2(n)) have all been met at least once.
  const levelCount = frameCount === 0 ? 0 : Math.floor(Math.log2(frameCount)) + 1;
  if (octets.length !== 8 + levelCount * digestSize) {
    throw new DareError('tree-state', `tree state of ${octets.length} octets does not fit ${frameCount} frames`);
  }
  const levels = Array.from({ length: levelCount }, (_, level) =>
    octets.subarray(8 + level * digestSize, 8 + (level + 1) * digestSize),
  );
  return { frameCount, levels };
}

/** The u64 in front of a stored state, as a safe integer. */
export function readCount(octets: Uint8Array): number {
  if (octets.length < 8) throw new DareError('tree-state', 'stored tree state is shorter than its frame count');
  const count = new DataView(octets.buffer, octets.byteOffset, 8).getBigUint64(0);
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw new DareError('tree-state', 'frame count beyond 2^53');
  return Number(count);
}

/**
 * The chain rule of encoding 3.5: C(0) = H(Z(64) || P(0)), C(n) = H(C(n-1) || P(n)).
 *
 * @param previous C(n-1), or undefined for the first frame.
 */
export function chainDigest(previous: Uint8Array | undefined, payloadDigest: Uint8Array): Uint8Array {
  expectDigest(payloadDigest);
  return sha512(previous ?? zeroDigest, payloadDigest);
}

/**
 * The frame whose file offset is the `TreePosition` of frame n (encoding 3.4).
 *
 * @param frameIndex n > 0.
 * @throws RangeError for frame 0, which has none.
 */
export function previousFrame(frameIndex: number): number {
  if (!Number.isSafeInteger(frameIndex) || frameIndex < 1)
    throw new RangeError(`frame ${frameIndex} has no predecessor`);
  const level = trailingZeros(frameIndex + 1);
  const span = 2 ** level;
  return frameIndex + 1 === span ? span / 2 - 1 : frameIndex - span;
}
