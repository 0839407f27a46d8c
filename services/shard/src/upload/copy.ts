import { logId } from '@meshd/dare/core';
import { encodeEdge } from '@meshd/dare/log-tree';
import { apex, encodeTree } from '@meshd/dare/merkle';
import { accountSpools, archiveSpool, isAccountContainer, isContainerName } from '@meshd/schema/container-name';
import type { DevicePermission } from '../storage/store.js';
import { judgeEvents } from './events.js';
import { type EntryFault, isFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import { judgeFrameZero, type Opening } from './frame-zero.js';
import { type BatchInput, frameWrite, type JudgedBatch, keysAfter, leavesOf } from './judge.js';
import { manifestEntries } from './manifest-rules.js';
import { judgeDigest, type RepeatedFrame, type UpdateBatch } from './position.js';
import { appendFrame, type ContainerView, emptyView } from './view.js';

/*
 * Frames of an account that stands by here, as a device brings them from the service where the account is. Order, events and
 * digests are judged as ever; who wrote what was judged there, and is judged again by every device that reads: manifests of
 * devices that were shut out long ago, and frames that the other service made, could not be judged here.
 */

const spools: ReadonlySet<string> = new Set(accountSpools);

/** Whether a device may bring this container at all: all names that an account has, for a device that may write all stores. */
export function judgeCopyAccess(
  name: string,
  permissions: readonly DevicePermission[],
  indexRequest: number,
): EntryFault | undefined {
  if (!isContainerName(name)) return reject(indexRequest, 'malformed', 'not a container name');
  if (!isAccountContainer(name)) return reject(indexRequest, 'not-authorised', 'names with mmm_ are reserved');
  if (permissions.length === 0) return undefined;
  return reject(indexRequest, 'not-authorised', 'a device that may use some stores alone does not copy an account');
}

/** Judges frames that follow the end of a container, or open it; as `judgeBatch`, without manifests and their places. */
export function judgeCopy({ batch, accountUdf, view: stored, keys }: BatchInput): JudgedBatch | EntryFault[] {
  const start = stored ?? openedBy(batch);
  if (isFault(start)) return [start];
  const opens = stored === undefined;
  const firstIndex = start.frameCount;
  const changes = judgeEvents(start, opens ? batch.frames.slice(1) : batch.frames, firstIndex + (opens ? 1 : 0), (id) =>
    keys.get(id),
  );
  const faults = changes.filter((each) => isFault(each)) as EntryFault[];
  if (faults.length > 0) return faults;
  const { view, frames } = appendAll(batch, start, leavesOf(batch.frames, firstIndex));
  const digestFault = judgeDigest(batch, apex(start.dareTree), apex(view.dareTree));
  if (digestFault !== undefined) return [digestFault];
  const leafZero = frames[0]?.leaf as Uint8Array;
  const open = { kind: view.kind, legacy: view.legacy, logId: logId(accountUdf, view.name, leafZero) };
  const judged = changes as JudgedBatch['changes'];
  return {
    ...{ batch, firstIndex, view, manifests: [], changes: judged },
    write: {
      ...{ name: batch.container, expectedFrameCount: firstIndex, frames, manifestFrom: view.manifestFrom },
      ...{ dareTree: encodeTree(view.dareTree), logTree: encodeEdge(view.logTree), keys: keysAfter(judged) },
      ...(opens ? { open } : {}),
    },
  };
}

function openedBy({ container, frames }: UpdateBatch): ContainerView | EntryFault {
  const opening = judgeFrameZero(container, frames[0] as UploadedFrame);
  if (isFault(opening)) return opening;
  // A service makes frame 0 of these without a manifest, and they are no legacy for that (S49).
  const made: Opening = spools.has(container) ? { kind: 'spool', legacy: false } : opening;
  return emptyView(container, made);
}

function appendAll(batch: UpdateBatch, start: ContainerView, leaves: readonly RepeatedFrame[]) {
  const frames: JudgedBatch['write']['frames'][number][] = [];
  let view = start;
  for (const [at, frame] of batch.frames.entries()) {
    const leaf = leaves[at] as RepeatedFrame;
    const next = appendFrame(view, leaf);
    frames.push(frameWrite(frame, leaf.leaf, next));
    const covers = needsNoManifest(next.view) || manifestEntries(frame).length > 0;
    view = covers ? { ...next.view, manifestFrom: next.view.frameCount } : next.view;
  }
  return { view, frames };
}

/** What the service writes, and what is legacy, has none; nor has frame 0 of the archive. */
function needsNoManifest({ name, legacy, frameCount }: ContainerView): boolean {
  if (legacy) return true;
  return name === archiveSpool ? frameCount === 1 : spools.has(name);
}
