import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import { checkPayloadDigest, type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { appendLeaf, emptyLog, type LogState } from '@meshd/dare/log-tree';
import { appendDare, emptyDareTree, type TreeState } from '@meshd/dare/merkle';
import { ClientError } from './errors.js';

/** Both trees over the first frames of a container. */
export interface Trees {
  readonly tree: TreeState;
  readonly log: LogState;
}

/** Before frame 0. */
export const noTrees: Trees = { tree: emptyDareTree, log: emptyLog };

/** A frame whose digests were recomputed from its octets. */
export interface Frame {
  readonly frameIndex: number;
  readonly envelope: DareEnvelope;
  readonly payloadDigest: Uint8Array;
  /** Leaf of the second tree (S44). */
  readonly leaf: Uint8Array;
}

/** The digest that a frame contributes: recomputed, or as stated where the body was removed (S64). */
function digestOfFrame(envelope: DareEnvelope): Uint8Array {
  if (envelope.payload !== null) return checkPayloadDigest(envelope);
  if (envelope.payloadDigest === undefined) throw new Error('a redacted frame without PayloadDigest');
  return envelope.payloadDigest;
}

/** A frame says where it stands: so it is found again in the file. @throws Error */
export function requirePlace({ header }: DareEnvelope, frameIndex: number): void {
  const stated = header.ContainerInfo?.Index;
  if (stated !== frameIndex) throw new Error(`it says that it is frame ${stated}`);
}

/**
 * Opens the next frame and puts it into both trees. Says nothing of who wrote it.
 * @throws ClientError `frame` if it says that it stands elsewhere, or its digest does not match
 */
export function appendFrame(trees: Trees, octets: EnvelopeOctets): { readonly frame: Frame; readonly trees: Trees } {
  const frameIndex = trees.log.frameCount;
  try {
    const envelope = openEnvelope(octets);
    requirePlace(envelope, frameIndex);
    const payloadDigest = digestOfFrame(envelope);
    const leaf = leafOfFrame(frameIndex, coreOfFrame(envelope, payloadDigest), envelope.signatures);
    const after = { tree: appendDare(trees.tree, payloadDigest).state, log: appendLeaf(trees.log, leaf) };
    return { frame: { frameIndex, envelope, payloadDigest, leaf }, trees: after };
  } catch (cause) {
    throw new ClientError('frame', `frame ${frameIndex} is refused: ${(cause as Error).message}`, { cause });
  }
}
