import {
  consistencyRanges,
  inclusionRanges,
  type LeafRange,
  type NodeLookup,
  nodesOfRange,
  rootOfRange,
} from '@meshd/dare/log-proof';
import type { FrameParts } from '../frame-parts.js';
import type { AccountReader, ContainerState, FrameRow } from '../storage/store.js';

/*
 * Proofs on request (S46), from the nodes that are kept with the frames: one statement by primary keys for a chunk of
 * frames, whatever the length of the container.
 */

/** What goes with one frame. */
export interface FrameProof {
  /** Audit path from the frame's leaf to the root of the head, lowest sibling first. */
  readonly inclusion: readonly Uint8Array[];
  /** The leaf, where the frame is sent without something that it is made of; empty otherwise. */
  readonly leafDigest: Uint8Array;
}

const none = new Uint8Array(0);

function lookUpAll(
  reader: AccountReader,
  container: ContainerState,
  ranges: readonly LeafRange[],
): Promise<NodeLookup> {
  return reader.logNodes(container, ranges.flatMap(nodesOfRange));
}

/**
 * The hashes that prove that the container of an earlier size is the beginning of what it is now. None from nothing, from
 * the present size, and from one that it has not reached: that a head tells better.
 */
export async function consistencyOf(
  reader: AccountReader,
  container: ContainerState,
  fromCount: number,
): Promise<Uint8Array[]> {
  if (fromCount > container.frameCount) return [];
  const ranges = consistencyRanges(fromCount, container.frameCount);
  if (ranges.length === 0) return [];
  const lookUp = await lookUpAll(reader, container, ranges);
  return ranges.map((range) => rootOfRange(range, lookUp));
}

/** The proofs of some frames, in their order. */
export async function proofsOf(
  reader: AccountReader,
  container: ContainerState,
  rows: readonly FrameRow[],
  parts: FrameParts,
): Promise<FrameProof[]> {
  const paths = rows.map(({ index }) => inclusionRanges(index, container.frameCount));
  const lookUp = await lookUpAll(reader, container, paths.flat());
  // A leaf is made of the core, which a reduced header does not tell, and of the signatures in the trailer (S44).
  const isReduced = !parts.header || !parts.trailer;
  return rows.map(({ leaf }, at) => ({
    inclusion: (paths[at] ?? []).map((range) => rootOfRange(range, lookUp)),
    leafDigest: isReduced ? leaf : none,
  }));
}
