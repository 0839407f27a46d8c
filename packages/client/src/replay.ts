import type { ContentMeta } from '@meshd/dare/header';
import { ClientError } from './errors.js';

/** Where the instances of one key stand, by frame index. */
export interface KeyState {
  /** Frame of the first instance since the key was last free. */
  readonly first: number;
  /** Frame of the newest instance. */
  readonly current: number;
}

/** Whose frames need no `UniqueID`: catalogs of applications may hold entries without a key. */
export interface ReplayRules {
  readonly kind: 'catalog' | 'spool';
  /** The catalogs that the Mesh defines have a key on every entry. */
  readonly keyed: boolean;
}

/**
 * The state of a catalog or spool, made by replaying the events of its frames in order (semantics 5). The reader makes
 * its own and believes `Event`, `First`, `Previous` only where they agree with it (S43).
 */
export class Replay {
  readonly #rules: ReplayRules;
  readonly #present = new Map<string, KeyState>();
  readonly #spoolIds = new Set<string>();

  constructor(rules: ReplayRules) {
    this.#rules = rules;
  }

  /** State of a key; undefined where it is absent or deleted. */
  state(uniqueId: string): KeyState | undefined {
    return this.#present.get(uniqueId);
  }

  /** Keys that are present now, in the order of their first instance. */
  entries(): IterableIterator<[string, KeyState]> {
    return this.#present.entries();
  }

  /**
   * Takes one more frame; frame 0 carries no entry and is not given.
   * @throws ClientError `frame` if the metadata contradicts the frames before
   */
  apply(frameIndex: number, meta: ContentMeta): void {
    if (this.#rules.kind === 'spool') this.#applySpool(frameIndex, meta);
    else this.#applyCatalog(frameIndex, meta);
  }

  #applySpool(frameIndex: number, { UniqueID: uniqueId }: ContentMeta): void {
    if (uniqueId === undefined) throw fault(frameIndex, 'a spool entry without UniqueID');
    if (this.#spoolIds.has(uniqueId)) throw fault(frameIndex, 'a UniqueID that the spool holds already');
    this.#spoolIds.add(uniqueId);
  }

  #applyCatalog(frameIndex: number, meta: ContentMeta): void {
    const { UniqueID: uniqueId, Event: event } = meta;
    if (uniqueId === undefined && event === undefined && !this.#rules.keyed) return;
    if (uniqueId === undefined || event === undefined) throw fault(frameIndex, 'UniqueID or Event is missing');
    const before = this.#present.get(uniqueId);
    if (event === 'New') {
      if (before !== undefined) throw fault(frameIndex, 'New for a key that is present');
      this.#present.set(uniqueId, { first: frameIndex, current: frameIndex });
      return;
    }
    if (event !== 'Update' && event !== 'Delete') throw fault(frameIndex, 'an unknown Event');
    if (before === undefined) throw fault(frameIndex, `${event} for a key that is absent`);
    if (meta.Previous !== before.current || meta.First !== before.first) {
      throw fault(frameIndex, 'First or Previous do not name the earlier instances');
    }
    if (event === 'Delete') this.#present.delete(uniqueId);
    else this.#present.set(uniqueId, { first: before.first, current: frameIndex });
  }
}

function fault(frameIndex: number, what: string): ClientError {
  return new ClientError('frame', `frame ${frameIndex} has ${what}: the service or a device shows a false history`);
}
