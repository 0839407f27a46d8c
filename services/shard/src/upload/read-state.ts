import { openEnvelope } from '@meshd/dare/envelope';
import type { AccountReader, ContainerState } from '../storage/store.js';
import type { KeyChange } from './events.js';
import type { UploadedFrame } from './frame.js';
import type { StoredIdentity } from './position.js';
import type { KeyState } from './view.js';

/*
 * What the rules need of the store: the only part of this folder that waits for it.
 */

/**
 * Where the keys of a batch stand.
 *
 * @param stored undefined for a container that does not exist.
 * @param earlier changes that batches before it in the same request make.
 */
export async function readKeys(
  reader: AccountReader,
  stored: ContainerState | undefined,
  frames: readonly UploadedFrame[],
  earlier: readonly KeyChange[],
): Promise<ReadonlyMap<string, KeyState>> {
  const wanted = [...new Set(frames.map((frame) => frame.meta.UniqueID).filter((id) => id !== undefined))];
  const found = stored === undefined || wanted.length === 0 ? undefined : await reader.catalogKeys(stored, wanted);
  const states = new Map<string, KeyState>();
  for (const key of found?.values() ?? []) {
    if (!key.deleted) states.set(key.uniqueId, { current: key.latestIndex, first: key.firstIndex });
  }
  for (const { uniqueId, event, frameIndex, firstIndex } of earlier) {
    if (event === 'Delete') states.delete(uniqueId);
    else states.set(uniqueId, { current: frameIndex, first: firstIndex });
  }
  return states;
}

/** What identifies the stored frames at some indexes, for the comparison with a repetition. */
export async function readIdentities(
  reader: AccountReader,
  stored: ContainerState | undefined,
  firstIndex: number,
  count: number,
): Promise<StoredIdentity[]> {
  if (stored === undefined) return [];
  const identities: StoredIdentity[] = [];
  const selection = { from: firstIndex, to: firstIndex + count - 1, payload: false, trailer: false };
  for await (const chunk of reader.frames(stored, selection)) {
    for (const { leaf, payloadDigest, header } of chunk) {
      const { contentMetaDataOctets: contentMetaData } = openEnvelope({ header, payload: null, trailer: null });
      identities.push({ leaf, payloadDigest, contentMetaData });
    }
  }
  return identities;
}
