import { applyEvent, type ItemFrames } from '@meshd/dare/catalog-replay';
import type { ContentMeta } from '@meshd/dare/header';
import { ClientError } from './errors.js';

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
  readonly #items = new Map<string, ItemFrames>();
  readonly #spoolIds = new Set<string>();

  constructor(rules: ReplayRules) {
    this.#rules = rules;
  }

  /** Whether entries have keys that later ones can replace, or each stands for itself. */
  get kind(): ReplayRules['kind'] {
    return this.#rules.kind;
  }

  /** Keys that are present now, with the frames of their first and newest instance. Empty for a spool. */
  get items(): ReadonlyMap<string, ItemFrames> {
    return this.#items;
  }

  /**
   * Takes one more frame; frame 0 carries no entry and is not given.
   * @throws ClientError `frame` if the metadata contradicts the frames before
   */
  apply(frameIndex: number, meta: ContentMeta): void {
    try {
      if (this.#rules.kind === 'spool') this.#applySpool(meta);
      else this.#applyCatalog(frameIndex, meta);
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new ClientError('frame', `frame ${frameIndex} belongs to a false history: ${reason}`, { cause });
    }
  }

  #applySpool({ UniqueID: uniqueId }: ContentMeta): void {
    if (uniqueId === undefined) throw new Error('a spool entry without UniqueID');
    if (this.#spoolIds.has(uniqueId)) throw new Error('a UniqueID that the spool holds already');
    this.#spoolIds.add(uniqueId);
  }

  #applyCatalog(frameIndex: number, meta: ContentMeta): void {
    const { UniqueID: uniqueId, Event: event } = meta;
    if (uniqueId === undefined && event === undefined && !this.#rules.keyed) return;
    if (uniqueId === undefined || event === undefined) throw new Error('UniqueID or Event is missing');
    const after = applyEvent(this.#items.get(uniqueId), meta, frameIndex);
    if (after === undefined) this.#items.delete(uniqueId);
    else this.#items.set(uniqueId, after);
  }
}
