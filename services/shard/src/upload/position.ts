import { constantTimeEqual } from '@meshd/crypto/digest';
import { conflict, type EntryFault } from './fault.js';
import type { UploadedFrame } from './frame.js';

/** Where a batch goes: it opens the container, follows its last frame, or is already there. */
export type Position = 'open' | 'append' | 'repeat';

/** One `ContainerUpdate` of a request, its envelopes opened. */
export interface UpdateBatch {
  readonly container: string;
  /** Frame count that the writer expects; taken from the first envelope where absent (semantics 5.1, rule 1). */
  readonly indexStated: number | undefined;
  /** DARE apex before or after the batch, as the writer sees it (rule 4). */
  readonly digestStated: Uint8Array | undefined;
  /** At least one. */
  readonly frames: readonly UploadedFrame[];
}

/** Index in the container of the batch's first frame as the writer states it; undefined when nothing states it. */
export function firstIndexOf(batch: UpdateBatch): number | undefined {
  return batch.indexStated ?? batch.frames[0]?.info?.Index;
}

/**
 * Compares where the writer wants the batch with where the container ends (semantics 5.1, rules 1–3, 5; encoding 3.8).
 *
 * @param frameCount of the container; 0 when it does not exist.
 * @returns `repeat` only says that the indexes exist: whether the frames are the same is {@link judgeRepetition}'s.
 */
export function judgePosition(batch: UpdateBatch, frameCount: number): Position | EntryFault {
  const first = firstIndexOf(batch);
  const requestIndex = batch.frames[0]?.indexRequest ?? 0;
  if (first === undefined) return conflict(requestIndex, 'index-mismatch', 'every entry carries ContainerInfo.Index');
  const misplaced = batch.frames.find((frame, at) => frame.info?.Index !== first + at);
  if (misplaced !== undefined) {
    return conflict(misplaced.indexRequest, 'index-mismatch', 'ContainerInfo.Index must count up from Index');
  }
  if (first === frameCount) return first === 0 ? 'open' : 'append';
  if (first >= 0 && first + batch.frames.length <= frameCount) return 'repeat';
  return conflict(requestIndex, 'index-mismatch', `the container has ${frameCount} frames`);
}

/** What identifies a stored frame when an upload is repeated. */
export interface StoredIdentity {
  /** Leaf of S44. */
  readonly leaf: Uint8Array;
  readonly payloadDigest: Uint8Array;
  readonly contentMetaData: Uint8Array;
}

/** The same of a frame that is uploaded again. */
export interface RepeatedFrame extends StoredIdentity {
  readonly indexRequest: number;
}

/**
 * Whether a batch at indexes that exist is the repetition of what lies there (semantics 5.1, rule 6).
 *
 * Equal means an equal leaf: the same entry under another manifest would be two leaves for one frame, a fork. In a
 * legacy container, which has no manifests, payload and metadata decide.
 *
 * @param stored the frames at the batch's indexes, in order.
 * @returns a fault at the first frame that differs.
 */
export function judgeRepetition(
  frames: readonly RepeatedFrame[],
  stored: readonly (StoredIdentity | undefined)[],
  legacy: boolean,
): EntryFault | undefined {
  const different = frames.find((frame, at) => !sameFrame(frame, stored[at], legacy));
  if (different === undefined) return undefined;
  return conflict(different.indexRequest, 'index-mismatch', 'another entry has this index');
}

function sameFrame(frame: StoredIdentity, stored: StoredIdentity | undefined, legacy: boolean): boolean {
  if (stored === undefined) return false;
  if (!legacy) return constantTimeEqual(frame.leaf, stored.leaf);
  return (
    constantTimeEqual(frame.payloadDigest, stored.payloadDigest) &&
    constantTimeEqual(frame.contentMetaData, stored.contentMetaData)
  );
}

/**
 * The writer's digest of the container, where given, must be the DARE apex before the batch (a precondition, as in the
 * text of 2021) or after it (as the client of 2019 means it): rule 4.
 */
export function judgeDigest(
  batch: UpdateBatch,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
): EntryFault | undefined {
  const stated = batch.digestStated;
  if (stated === undefined || stated.length === 0) return undefined;
  const equal = [before, after].some((apex) => apex !== undefined && constantTimeEqual(stated, apex));
  if (equal) return undefined;
  return conflict(batch.frames[0]?.indexRequest ?? 0, 'digest-mismatch', 'Digest is not that of the container');
}
