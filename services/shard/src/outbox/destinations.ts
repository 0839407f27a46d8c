import { destinationProbeMsMax, destinationSuccessNotedMs, destinationsKnownMax } from '@meshd/limits/outbox';
import { LRUCache } from 'lru-cache';
import type { OutboxTables } from '../storage/outbox-store.js';
import { type DestinationState, freshDestination } from './destination.js';

interface Probe {
  readonly owner: string;
  readonly lane: number;
  readonly untilMs: number;
}

/**
 * The states of destinations, in memory and in the database: the shard is the only writer of both. Which lane probes a
 * failing destination stands in memory alone; a shard that starts anew lets one more try.
 */
export class Destinations {
  readonly #tables: () => OutboxTables;
  readonly #states = new LRUCache<string, DestinationState>({ max: destinationsKnownMax });
  readonly #probes = new LRUCache<string, Probe>({ max: destinationsKnownMax });

  constructor(tables: () => OutboxTables) {
    this.#tables = tables;
  }

  /** @throws StorageError */
  async stateOf(domain: string): Promise<DestinationState> {
    const known = this.#states.get(domain);
    if (known !== undefined) return known;
    const stored = (await this.#tables().destination(domain)) ?? freshDestination;
    // Somebody may have changed it meanwhile, who then read it too.
    const state = this.#states.get(domain) ?? stored;
    this.#states.set(domain, state);
    return state;
  }

  /**
   * Changes a state; resolves when it is stored.
   *
   * @throws StorageError
   */
  async change(domain: string, change: (before: DestinationState) => DestinationState): Promise<DestinationState> {
    const read = await this.stateOf(domain);
    const before = this.#states.get(domain) ?? read;
    const after = change(before);
    if (after === before) return before;
    const isNews = { ...after, lastSuccessMs: 0 };
    const isKnown = Object.entries(isNews).every(
      ([name, value]) => name === 'lastSuccessMs' || before[name as keyof DestinationState] === value,
    );
    // What is only remembered stays older than what is stored, so that it is stored in the end.
    if (isKnown && after.lastSuccessMs - before.lastSuccessMs < destinationSuccessNotedMs) return before;
    this.#states.set(domain, after);
    await this.#tables().saveDestination(domain, after);
    return after;
  }

  /**
   * Whether a lane may try a failing destination: one at a time does, the others wait for what it finds.
   *
   * @returns when to ask again, Unix time in milliseconds; undefined: it may.
   */
  probe(domain: string, owner: string, lane: number, nowMs: number): number | undefined {
    const probe = this.#probes.get(domain);
    const isOwn = probe?.owner === owner && probe.lane === lane;
    if (probe !== undefined && probe.untilMs > nowMs && !isOwn) return probe.untilMs;
    this.#probes.set(domain, { owner, lane, untilMs: nowMs + destinationProbeMsMax });
    return undefined;
  }

  /** The lane is done with the destination, whatever came of it. */
  endProbe(domain: string, owner: string, lane: number): void {
    const probe = this.#probes.get(domain);
    if (probe?.owner === owner && probe.lane === lane) this.#probes.delete(domain);
  }

  /** @throws StorageError */
  async forget(beforeMs: number): Promise<void> {
    await this.#tables().forgetDestinations(beforeMs);
    for (const [domain, state] of this.#states.entries()) {
      if (!state.held && Math.max(state.lastFailureMs, state.lastSuccessMs) < beforeMs) this.#states.delete(domain);
    }
  }
}
