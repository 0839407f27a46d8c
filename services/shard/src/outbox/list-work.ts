import { outboxLanesListedMax } from '@meshd/limits/outbox';
import type { ShardContext } from '../context.js';
import type { Lane } from '../storage/outbox-store.js';

/** Lanes with rows. */
export interface WorkList {
  readonly lanes: readonly (Lane & { readonly dueMs: number })[];
  readonly more: boolean;
}

/**
 * Lanes with rows behind one, in order, from which lost wake-ups are made again. Held destinations have no work.
 *
 * @throws StorageError
 */
export async function listWork({ store }: ShardContext, after: Lane, lanesMax: number): Promise<WorkList> {
  const wanted = Math.min(Math.max(lanesMax, 1), outboxLanesListedMax);
  const found = await store.outbox.lanes(after, wanted + 1);
  return { lanes: found.slice(0, wanted), more: found.length > wanted };
}
