import { DareError } from './errors.js';
import type { ContentMeta } from './header.js';

/** What can happen to an item of a catalog. */
export type CatalogEvent = 'New' | 'Update' | 'Delete';

/** The frames that hold the first and the current instance of an item. */
export interface ItemFrames {
  readonly first: number;
  readonly current: number;
}

function eventOf(meta: ContentMeta): CatalogEvent {
  const { Event: event } = meta;
  if (event === 'New' || event === 'Update' || event === 'Delete') return event;
  throw new DareError('event', 'unknown Event');
}

/**
 * Applies the event rules of semantics 5 to one item.
 *
 * @param item the item's frames before, undefined while its key is free.
 * @param frameIndex of the frame that holds the event.
 * @returns the item's frames after, undefined once it is deleted.
 * @throws DareError `event`: unknown, not allowed in this state, or `First`, `Previous` that name other frames.
 */
export function applyEvent(
  item: ItemFrames | undefined,
  meta: ContentMeta,
  frameIndex: number,
): ItemFrames | undefined {
  const event = eventOf(meta);
  if (event === 'New') {
    if (item !== undefined) throw new DareError('event', 'New for a key that is there');
    return { first: frameIndex, current: frameIndex };
  }
  if (item === undefined) throw new DareError('event', `${event} for a key that is not there`);
  if (meta.Previous !== item.current || meta.First !== item.first) {
    throw new DareError('event', `First and Previous of the ${event} name other frames than the item's`);
  }
  return event === 'Delete' ? undefined : { first: item.first, current: frameIndex };
}

/** A reader's own replay of a catalog: which keys are there, and where. */
export class CatalogReplay {
  readonly #items = new Map<string, ItemFrames>();

  /** Keys that are there now, with the frames of their instances. */
  get items(): ReadonlyMap<string, ItemFrames> {
    return this.#items;
  }

  /**
   * Takes the next frame. A frame with neither `UniqueID` nor `Event` is an unkeyed entry without rules; frame 0, which
   * names the container, is passed over.
   *
   * @throws DareError `event` as {@link applyEvent}, or for one member without the other.
   */
  apply(frameIndex: number, meta: ContentMeta | undefined): void {
    if (frameIndex === 0 || meta === undefined) return;
    const { UniqueID: key, Event: event } = meta;
    if (key === undefined && event === undefined) return;
    if (key === undefined || event === undefined) throw new DareError('event', 'UniqueID and Event stand together');
    const after = applyEvent(this.#items.get(key), meta, frameIndex);
    if (after === undefined) this.#items.delete(key);
    else this.#items.set(key, after);
  }
}
