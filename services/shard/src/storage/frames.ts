/** Reads frames in chunks of bounded octets, each payload compared with its digest, the next chunk fetched meanwhile. */
import { hash } from 'node:crypto';
import type pg from 'pg';
import { copyRows } from './binary-copy.js';
import { StorageError } from './errors.js';
import { frameOfRow, selectFrames } from './sql/frame.js';
import type { ContainerState, FrameRow, FrameSelection } from './store.js';

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
      this.#bytes -= frame.payloadBytes;
      if (this.#frames === 0 || (this.#bytes < 0 && !this.#isFirst)) break;
      this.#frames -= 1;
      this.#isFirst = false;
      taken.push(frame);
    }
    return taken;
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
  const bounded = { ...selection, to: Math.min(selection.to, container.frameCount - 1) };
  const fetch = (from: number): Promise<FrameRow[]> | undefined =>
    from > bounded.to
      ? undefined
      : copyRows(source.on, selectFrames(container.id, from, bounded)).then((rows) => rows.map(frameOfRow));
  const budget = new Budget(selection);
  let next = fetch(Math.max(0, selection.from));
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
