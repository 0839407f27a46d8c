import { leafOfFrame, logId } from '@meshd/dare/core';
import { encodeEdge, root } from '@meshd/dare/log-tree';
import { apex, encodeTree } from '@meshd/dare/merkle';
import type { CatalogKey, ContainerWrite, FrameWrite } from '../storage/store.js';
import { judgeEvents, type KeyChange } from './events.js';
import { type EntryFault, isFault } from './fault.js';
import type { UploadedFrame } from './frame.js';
import { judgeFrameZero } from './frame-zero.js';
import { judgeManifest, judgeNoManifest, manifestEntries, type PendingManifest } from './manifest-rules.js';
import { judgeDigest, type RepeatedFrame, type UpdateBatch } from './position.js';
import { type AppendedFrame, appendFrame, type ContainerView, emptyView, type KeyState } from './view.js';

/** A batch that follows the end of its container, or opens it, with what the rules need to know of it. */
export interface BatchInput {
  readonly batch: UpdateBatch;
  /** UDF of the ProfileAccount: subject of manifests, and part of the container's name for life. */
  readonly accountUdf: string;
  /** Undefined: the batch opens the container. */
  readonly view: ContainerView | undefined;
  /** Where the keys of the batch stand; absent ones are free. */
  readonly keys: ReadonlyMap<string, KeyState>;
  /** Nothing will be written: a manifest that is not there yet is not missed. */
  readonly probe: boolean;
}

/** A batch that breaks no rule, but for the signatures of its manifests. */
export interface JudgedBatch {
  readonly batch: UpdateBatch;
  /** Index of the batch's first frame. */
  readonly firstIndex: number;
  readonly view: ContainerView;
  readonly manifests: readonly PendingManifest[];
  readonly changes: readonly KeyChange[];
  readonly write: ContainerWrite;
}

/** Frames of a batch with their leaf at the index where they would lie. */
export function leavesOf(frames: readonly UploadedFrame[], firstIndex: number): RepeatedFrame[] {
  return frames.map((frame, at) => ({
    indexRequest: frame.indexRequest,
    payloadDigest: frame.payloadDigest,
    contentMetaData: frame.contentMetaData,
    leaf: leafOfFrame(firstIndex + at, frame.core, frame.signatures),
  }));
}

/**
 * Judges one batch by every rule that needs no signature: frame 0, events, digest of the container, manifests.
 *
 * The position was judged before (`judgePosition` said `open` or `append`), since a batch elsewhere may be a repetition.
 *
 * @returns what to verify and to store, or the faults found, in the order of the entries.
 */
export function judgeBatch({ batch, accountUdf, view: stored, keys, probe }: BatchInput): JudgedBatch | EntryFault[] {
  const start = stored ?? openedBy(batch);
  if (isFault(start)) return [start];
  const opens = stored === undefined;
  const firstIndex = start.frameCount;
  // Frame 0 carries no entry.
  const entries = opens ? batch.frames.slice(1) : batch.frames;
  const changes = judgeEvents(start, entries, firstIndex + (opens ? 1 : 0), (id) => keys.get(id));
  if (isFaultList(changes)) return changes;
  const appended = appendAll(batch, start, accountUdf, probe);
  if (isFault(appended)) return [appended];
  const digestFault = judgeDigest(batch, apex(start.dareTree), apex(appended.view.dareTree));
  if (digestFault !== undefined) return [digestFault];
  const view = { ...appended.view, manifestFrom: appended.view.frameCount };
  const write: ContainerWrite = {
    name: batch.container,
    expectedFrameCount: firstIndex,
    frames: appended.frames,
    dareTree: encodeTree(view.dareTree),
    logTree: encodeEdge(view.logTree),
    manifestFrom: view.manifestFrom,
    keys: keysAfter(changes),
    ...(opens ? { open: openingOf(view, accountUdf, appended.frames) } : {}),
  };
  return { batch, firstIndex, view, manifests: appended.manifests, changes, write };
}

function isFaultList(value: KeyChange[] | EntryFault[]): value is EntryFault[] {
  return isFault(value[0]);
}

function openedBy(batch: UpdateBatch): ContainerView | EntryFault {
  const frameZero = batch.frames[0] as UploadedFrame;
  const opening = judgeFrameZero(batch.container, frameZero);
  return isFault(opening) ? opening : emptyView(batch.container, opening);
}

function openingOf(view: ContainerView, accountUdf: string, frames: readonly FrameWrite[]) {
  const leafZero = frames[0]?.leaf as Uint8Array;
  return { kind: view.kind, legacy: view.legacy, logId: logId(accountUdf, view.name, leafZero) };
}

interface Appended {
  readonly view: ContainerView;
  readonly frames: FrameWrite[];
  readonly manifests: PendingManifest[];
}

/**
 * Frames of a batch that must not carry a manifest: those between frame 0 and the last. A batch that opens a container
 * without one in frame 0, but with one later, was meant to open an authenticated container; it must not become a legacy
 * one by mistake. In a legacy container that exists, manifests mean nothing.
 */
function framesWithout(batch: UpdateBatch, start: ContainerView): readonly UploadedFrame[] {
  const opens = start.frameCount === 0;
  if (start.legacy) return opens ? batch.frames : [];
  return batch.frames.slice(opens ? 1 : 0, -1);
}

/** Appends frame by frame; roots are taken only where a manifest must name one, so a batch costs one. */
function appendAll(
  batch: UpdateBatch,
  start: ContainerView,
  accountUdf: string,
  probe: boolean,
): Appended | EntryFault {
  const last = batch.frames.length - 1;
  const lastRequestIndex = batch.frames[last]?.indexRequest ?? 0;
  const opens = start.frameCount === 0;
  const overlap = judgeNoManifest(framesWithout(batch, start), lastRequestIndex);
  if (overlap !== undefined) return overlap;
  const leaves = leavesOf(batch.frames, start.frameCount);
  const frames: FrameWrite[] = [];
  const manifests: PendingManifest[] = [];
  let view = start;
  for (const [at, frame] of batch.frames.entries()) {
    const isFrameZero = opens && at === 0;
    const isUnproven = probe && manifestEntries(frame).length === 0;
    if (!start.legacy && (isFrameZero || at === last) && !isUnproven) {
      const pending = judgeManifest(frame, expectedAt(view, isFrameZero, accountUdf), lastRequestIndex);
      if (isFault(pending)) return pending;
      manifests.push(pending);
    }
    const leaf = leaves[at] as RepeatedFrame;
    const next = appendFrame(view, leaf);
    frames.push(frameWrite(frame, leaf.leaf, next));
    // Frame 0 has a manifest of its own, so the batch behind it begins at 1.
    view = isFrameZero ? { ...next.view, manifestFrom: 1 } : next.view;
  }
  return { view, frames, manifests };
}

function expectedAt(view: ContainerView, isFrameZero: boolean, accountUdf: string) {
  return {
    from: isFrameZero ? 0 : view.manifestFrom,
    index: view.frameCount,
    root: root(view.logTree),
    subject: accountUdf,
    object: view.name,
  };
}

/** A frame as it is stored. */
export function frameWrite(
  frame: UploadedFrame,
  leaf: Uint8Array,
  { treeDigest, nodes }: Pick<AppendedFrame, 'treeDigest' | 'nodes'>,
): FrameWrite {
  const { meta, octets, payloadDigest } = frame;
  // Frame 0 has a UniqueID too: the container's own, which is no key of it.
  const isEntry = frame.info?.Index !== 0;
  return {
    ...octets,
    payloadDigest,
    treeDigest,
    leaf,
    nodes,
    ...(isEntry && meta.UniqueID !== undefined ? { uniqueId: meta.UniqueID } : {}),
    ...(isEntry && isStoredEvent(meta.Event) ? { event: meta.Event } : {}),
  };
}

function isStoredEvent(event: string | undefined): event is 'New' | 'Update' | 'Delete' {
  return event === 'New' || event === 'Update' || event === 'Delete';
}

/** Each key once, as it stands after the batch. */
export function keysAfter(changes: readonly KeyChange[]): CatalogKey[] {
  const last = new Map<string, CatalogKey>();
  for (const { uniqueId, frameIndex, firstIndex, event } of changes) {
    last.set(uniqueId, { uniqueId, latestIndex: frameIndex, firstIndex, deleted: event === 'Delete' });
  }
  return [...last.values()];
}
