import { encodeEdge } from '@meshd/dare/log-tree';
import { encodeTree } from '@meshd/dare/merkle';
import type { ContainerState, ContainerWrite, FrameWrite } from '../storage/store.js';
import type { ContainerView } from './view.js';

/**
 * The write of messages behind the end of a spool that the service writes. Each becomes a message that marks may refer to.
 *
 * @param after the spool with all of them.
 */
export function appendOf(spool: ContainerState, frames: readonly FrameWrite[], after: ContainerView): ContainerWrite {
  return {
    name: spool.name,
    expectedFrameCount: spool.frameCount,
    frames,
    dareTree: encodeTree(after.dareTree),
    logTree: encodeEdge(after.logTree),
    manifestFrom: after.manifestFrom,
    keys: frames.map(({ uniqueId = '' }, at) => {
      const frameIndex = spool.frameCount + at;
      return { uniqueId, latestIndex: frameIndex, firstIndex: frameIndex, deleted: false };
    }),
  };
}
