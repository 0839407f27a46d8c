/** Reads frames in chunks of bounded octets, each payload compared with its digest, the next chunk fetched meanwhile. */
import { hash } from 'node:crypto';
import { completingLeaf, type NodeLookup, type NodeName } from '@meshd/dare/log-proof';
import { frameChunkCountMax, lookupKeysMax } from '@meshd/limits/limits';
import type pg from 'pg';
import { copyRows } from './binary-copy.js';
import { type Queryable, rowsOf } from './database.js';
import { StorageError } from './errors.js';
import { frameOfRow, type NodeSelectRow, selectFirstAt, selectFrames, selectNodes, selectSlice } from './sql/frame.js';
import type { ContainerState, FrameRow, FrameSelection, PayloadSlice } from './store.js';

/** What {@link readFrames} needs. */
export interface FrameSource {
  readonly on: pg.Pool;
  /** Told of the first frame that does not match its digest. */
  readonly onDamaged: (container: ContainerState, frameIndex: number) => void;
}

function isWhole({ payload, payloadDigest }: FrameRow): boolean {
  return payload === null || hash('sha512', payload, 'buffer').equals(payloadDigest);
}

/** Cuts a chunk where a bound of the selection is reached. */
class Budget {
  #frames: number;
  #bytes: number;
  #isFirst = true;

  constructor(selection: FrameSelection) {
    this.#frames = selection.framesMax ?? Number.POSITIVE_INFINITY;
    this.#bytes = selection.payloadBytesMax ?? Number.POSITIVE_INFINITY;
  }

  /** The frames that still fit; fewer than given means: this was all. */
  take(frames: readonly FrameRow[]): FrameRow[] {
    const taken: FrameRow[] = [];
    for (const frame of frames) {
      this.#bytes -= frame.filtered ? 0 : frame.payloadBytes;
      if (this.#frames === 0 || (this.#bytes < 0 && !this.#isFirst)) break;
      this.#frames -= 1;
      this.#isFirst = false;
      taken.push(frame);
    }
    return taken;
  }

  /** Frames that may still be taken. */
  get framesLeft(): number {
    return this.#frames;
  }

  get isSpent(): boolean {
    return this.#frames === 0 || this.#bytes < 0;
  }
}

/**
 * Frames of a selection, in order. At most two chunks are in memory: the one given out and the next.
 *
 * @throws StorageError `damaged` instead of a frame that is not what was written
 */
export async function* readFrames(
  source: FrameSource,
  container: ContainerState,
  selection: FrameSelection,
): AsyncGenerator<readonly FrameRow[]> {
  // never beyond what the caller knows of: a frame that is just being committed is not yet part of the state
  const known = { ...selection, to: Math.min(selection.to, container.frameCount - 1) };
  const bounded = await withinTimes(source.on, container, known);
  const budget = new Budget(selection);
  const fetch = (from: number): Promise<FrameRow[]> | undefined => {
    if (from > bounded.to) return undefined;
    const framesMax = Math.min(budget.framesLeft, frameChunkCountMax);
    const query = selectFrames(container.id, from, bounded, framesMax);
    return copyRows(source.on, query).then((rows) => rows.map(frameOfRow));
  };
  let next = fetch(Math.max(0, bounded.from));
  while (next !== undefined) {
    const found = await next;
    const last = found.at(-1);
    if (last === undefined) return;
    const frames = budget.take(found);
    next = frames.length < found.length || budget.isSpent ? undefined : fetch(last.index + 1);
    next?.catch(() => {}); // seen when its turn comes, or nobody waits for it any more
    for (const frame of frames) {
      if (isWhole(frame)) continue;
      source.onDamaged(container, frame.index);
      throw new StorageError('damaged', `frame ${frame.index} of container ${container.id} does not have its digest`);
    }
    if (frames.length > 0) yield frames;
  }
}

/** The indexes between which the frames of the selection's times lie: otherwise every frame before them would be read. */
async function withinTimes(on: Queryable, { id }: ContainerState, selection: FrameSelection): Promise<FrameSelection> {
  const { notBeforeMs, beforeMs, to } = selection;
  const from = Math.max(0, selection.from);
  if ((notBeforeMs === undefined && beforeMs === undefined) || from > to) return selection;
  const times = [notBeforeMs ?? 0, beforeMs ?? Number.MAX_SAFE_INTEGER];
  const [[first = from] = [], [end = to + 1] = []] = await rowsOf<[number]>(on, selectFirstAt(id, from, to, times));
  return { ...selection, from: first, to: end - 1 };
}

/** One frame with a slice of its payload; undefined where there is none. */
export async function readSlice(
  on: pg.Pool,
  container: ContainerState,
  frameIndex: number,
  slice: PayloadSlice,
): Promise<FrameRow | undefined> {
  if (frameIndex >= container.frameCount) return undefined;
  const [row] = await copyRows(on, selectSlice(container.id, frameIndex, slice));
  return row === undefined ? undefined : frameOfRow(row);
}

/** Of a node of the second tree. */
const nodeBytes = 32;

const nodeText = (frameIndex: number, level: number): string => `${level}/${frameIndex}`;

/** Nodes of a container's second tree. */
export async function readNodes(
  on: Queryable,
  container: ContainerState,
  names: readonly NodeName[],
): Promise<NodeLookup> {
  const wanted = new Map(names.map((name) => [nodeText(completingLeaf(name), name.level), name]));
  const keys = [...wanted.values()].map((name) => [container.id, completingLeaf(name), name.level]);
  const found = new Map<string, Uint8Array>();
  for (let start = 0; start < keys.length; start += lookupKeysMax) {
    const statement = selectNodes(keys.slice(start, start + lookupKeysMax));
    for (const [frameIndex, level, hash] of await rowsOf<NodeSelectRow>(on, statement)) {
      if (hash.length === nodeBytes) found.set(nodeText(frameIndex, level), hash);
    }
  }
  return (name) => found.get(nodeText(completingLeaf(name), name.level));
}
