import type { CatalogKey, ContainerWrite } from '../storage/store.js';

/**
 * Joins the writes of one request so that each container is written once. Several updates of one container are several
 * batches, each with its manifest, whose frames follow each other.
 */
export function mergeWrites(writes: readonly ContainerWrite[]): ContainerWrite[] {
  const merged = new Map<string, ContainerWrite>();
  for (const write of writes) {
    const before = merged.get(write.name);
    merged.set(write.name, before === undefined ? write : join(before, write));
  }
  return [...merged.values()];
}

function join(before: ContainerWrite, after: ContainerWrite): ContainerWrite {
  const keys = new Map<string, CatalogKey>();
  for (const key of [...before.keys, ...after.keys]) keys.set(key.uniqueId, key);
  const { dareTree, logTree, manifestFrom } = after;
  return {
    ...before,
    frames: [...before.frames, ...after.frames],
    dareTree,
    logTree,
    manifestFrom,
    keys: [...keys.values()],
  };
}
