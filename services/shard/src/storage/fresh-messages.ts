/**
 * Messages as they were committed a moment ago. The worker that is woken for them asks at once, as a rule, and then they need
 * not be read back: reading one of 64 KB from the database, checking it and copying it costs as much as a tenth of its way.
 *
 * Each is kept for as many leases as rows were written with it; who asks once more, after a failure or a restart, has it from
 * the database. What nobody comes for makes room for what is newer.
 */
import { outboxFreshBytesMax } from '@meshd/limits/outbox';
import { LRUCache } from 'lru-cache';
import type { LeasedRow } from './outbox-store.js';
import { type AccountState, type AccountWrite, type FrameWrite, frameBytes } from './store.js';

/** What a worker gets of a message, its payload compared with its digest. */
export type WholeMessage = Pick<LeasedRow, 'frame' | 'payloadDigest'>;

interface Kept {
  readonly message: WholeMessage;
  leasesLeft: number;
}

/** Where a frame stands. */
export interface FramePlace {
  readonly containerId: number;
  readonly frameIndex: number;
}

/** Names a place. */
export const placeText = ({ containerId, frameIndex }: FramePlace): string => `${containerId}/${frameIndex}`;

/** Keeps them, in bounded memory. */
export class FreshMessages {
  readonly #kept: LRUCache<string, Kept>;

  /** @param bytesMax octets of all messages together */
  constructor(bytesMax: number = outboxFreshBytesMax) {
    this.#kept = new LRUCache({ maxSize: bytesMax });
  }

  /**
   * Follows a write that was committed: keeps the messages that it queued, forgets those whose bodies it removed.
   *
   * @param after the account as it is now
   */
  follow(write: AccountWrite, after: AccountState | undefined): void {
    if (write.erased !== undefined) this.#forget(write.erased, after);
    for (const { container, frameIndex } of write.outbox ?? []) {
      const written = write.containers?.find(({ name }) => name === container);
      const frame = written?.frames[frameIndex - written.expectedFrameCount];
      const containerId = after?.containers.get(container)?.id;
      if (written === undefined || frame === undefined || containerId === undefined) continue;
      this.#keep({ containerId, frameIndex }, frame, written.frames.length);
    }
  }

  /** A message for one row that was leased; undefined where it must be read. */
  take(place: FramePlace): WholeMessage | undefined {
    const name = placeText(place);
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    kept.leasesLeft -= 1;
    if (kept.leasesLeft <= 0) this.#kept.delete(name);
    return kept.message;
  }

  /** Once more for each row of it. */
  #keep(place: FramePlace, frame: FrameWrite, frameCount: number): void {
    const known = this.#kept.get(placeText(place));
    if (known !== undefined) {
      known.leasesLeft += 1;
      return;
    }
    const { header, payload, trailer, payloadDigest } = frame;
    // A payload keeps the whole of what it came in from being freed: its share of that is what it weighs.
    const size = Math.max(frameBytes(frame), Math.ceil((payload?.buffer.byteLength ?? 0) / frameCount), 1);
    const message = { frame: { header, payload, trailer }, payloadDigest };
    this.#kept.set(placeText(place), { message, leasesLeft: 1 }, { size });
  }

  #forget({ erasure, frames }: NonNullable<AccountWrite['erased']>, after: AccountState | undefined): void {
    const containerId = after?.containers.get(erasure.container)?.id;
    if (containerId === undefined) return;
    for (const { frameIndex } of frames) this.#kept.delete(placeText({ containerId, frameIndex }));
  }
}
