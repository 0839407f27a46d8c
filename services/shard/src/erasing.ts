/** Removes the bodies of deleted entries, behind the back of the requests that deleted them (S64). */
import { openEnvelope } from '@meshd/dare/envelope';
import { erasedHeader } from '@meshd/dare/erased-header';
import { erasedAtOnceMax, erasuresAtOnceMax } from '@meshd/limits/limits';
import type { ShardContext } from './context.js';
import { regularly } from './regularly.js';
import type { ErasedFrame, Erasure, ErasureStep, PendingErasure } from './storage/erasure-store.js';
import type { AccountReader, ContainerState, FrameRow } from './storage/store.js';

/** Who is told of what was removed. */
export interface ErasingEvents {
  readonly onErased?: (frameCount: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Removes what is to be removed, regularly; see {@link regularly}. */
export function startErasing(context: ShardContext, events: ErasingEvents, everyMs?: number): () => Promise<void> {
  return regularly((signal) => eraseBodies(context, events, signal).catch(events.onError), everyMs);
}

/**
 * Removes the bodies of all entries that were deleted, a few frames at a time, each in the turn of its account. One that fails
 * is told and stays for the next time; it holds up no other.
 *
 * @throws StorageError where what is to be removed cannot be asked for
 */
export async function eraseBodies(context: ShardContext, events: ErasingEvents, signal?: AbortSignal): Promise<void> {
  let last: PendingErasure | undefined;
  do {
    const found = await context.store.erasures(last, erasuresAtOnceMax);
    for (const each of found) {
      if (signal?.aborted) return;
      await eraseEntry(context, events, each, signal).catch(events.onError);
    }
    last = found.length < erasuresAtOnceMax ? undefined : found.at(-1);
  } while (last !== undefined);
}

async function eraseEntry(
  { store }: ShardContext,
  { onErased }: ErasingEvents,
  { address, container, containerId, frameIndex }: PendingErasure,
  signal: AbortSignal | undefined,
): Promise<void> {
  let at: number | undefined = frameIndex;
  while (at !== undefined && !signal?.aborted) {
    const erasure: Erasure = { container, frameIndex: at };
    at = await store.transactAccount(address, async (transactor): Promise<number | undefined> => {
      const stored = transactor.state?.containers.get(container);
      // Deleted meanwhile: it goes with the container.
      if (stored === undefined || stored.id !== containerId) return undefined;
      const step: ErasureStep = { erasure, ...(await versionsFrom(transactor, stored, erasure.frameIndex)) };
      await transactor.commit({ erased: step });
      onErased?.(step.frames.length);
      return step.next;
    });
  }
}

/** The instance of an entry at an index and those before it, a bounded number. */
async function versionsFrom(
  reader: AccountReader,
  container: ContainerState,
  frameIndex: number,
): Promise<Omit<ErasureStep, 'erasure'>> {
  const frames: ErasedFrame[] = [];
  let name: string | null | undefined;
  let next: number | undefined = frameIndex;
  for (let count = 0; next !== undefined && count < erasedAtOnceMax; count += 1) {
    const row = await frameAt(reader, container, next);
    name ??= row?.uniqueId;
    // What a deletion itself says stays; before it the key was another entry's.
    if (row === undefined || row.event === 'Delete' || row.event === null || row.uniqueId !== name) {
      return { frames, next: undefined };
    }
    if (row.payloadBytes > 0) frames.push(erasedFrame(row));
    const previous = previousOf(row);
    next = previous !== undefined && previous < row.index ? previous : undefined;
  }
  return { frames, next };
}

function erasedFrame({ index: frameIndex, header: before, payloadBytes }: FrameRow): ErasedFrame {
  const header = erasedHeader(before);
  return { frameIndex, header, bytesFreed: payloadBytes + before.length - header.length };
}

function previousOf({ header }: FrameRow): number | undefined {
  return openEnvelope({ header, payload: null, trailer: null }).contentMetaData?.Previous;
}

async function frameAt(reader: AccountReader, container: ContainerState, index: number): Promise<FrameRow | undefined> {
  for await (const [row] of reader.frames(container, { from: index, to: index, payload: false })) return row;
  return undefined;
}
