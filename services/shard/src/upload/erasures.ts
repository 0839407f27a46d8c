import { deviceCatalog } from '@meshd/schema/container-name';
import type { Erasure } from '../storage/erasure-store.js';
import type { JudgedBatch } from './judge.js';

/**
 * What a batch deletes: of each entry the frame of its last instance, from which the bodies of all its instances are removed
 * (S64).
 *
 * Entries of devices keep theirs: readers learn from them who was entitled to write what is older. Messages of spools are not
 * deleted but marked so, which a later mark takes back. Of a legacy container whose deletions do not name the frame before,
 * nothing is removed.
 */
export function erasuresOf({ batch, view }: Pick<JudgedBatch, 'batch' | 'view'>): readonly Erasure[] {
  if (view.kind !== 'catalog' || batch.container === deviceCatalog) return [];
  return batch.frames.flatMap(({ meta: { Event: event, Previous: previous } }) =>
    event === 'Delete' && previous !== undefined ? [{ container: batch.container, frameIndex: previous }] : [],
  );
}
