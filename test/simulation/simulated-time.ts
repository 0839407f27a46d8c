/**
 * Simulations of the outbound side: its own code, driven by a clock that jumps from event to event and by chance from a seed.
 * A run of hours takes seconds, and the same seed gives the same run, to the last digit.
 *
 * - `simulated-time.ts` the clock with what is due, and the seeded chance.
 * - `simulated-line.ts`, `controller-runs.ts` one line to a destination, and how much the controller gets through it beside the
 *   best concurrency that never changes.
 * - `simulated-outbox.ts`, `simulated-peers.ts`, `simulated-workers.ts`, `outages.ts` many destinations over days of outages:
 *   leases, rest and jitter, arranging, turns, outcomes, marks and expiry, and what must hold whatever happens.
 */

/** Something that happens at its time. */
interface Due {
  readonly atMs: number;
  /** What was asked for earlier happens earlier, where the time is the same. */
  readonly order: number;
  readonly act: () => void;
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** A clock in milliseconds that stands still until it is told to go on. */
export class SimulatedTime {
  #nowMs: number;
  #count = 0;
  /** A binary heap, the earliest first. */
  readonly #heap: Due[] = [];

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Has something done at a time; what lies in the past is done next. */
  at(atMs: number, act: () => void): void {
    const heap = this.#heap;
    heap.push({ atMs: Math.max(atMs, this.#nowMs), order: this.#count++, act });
    for (let at = heap.length - 1; at > 0; ) {
      const up = (at - 1) >> 1;
      if (!isBefore(heap[at] as Due, heap[up] as Due)) return;
      [heap[at], heap[up]] = [heap[up] as Due, heap[at] as Due];
      at = up;
    }
  }

  after(ms: number, act: () => void): void {
    this.at(this.#nowMs + ms, act);
  }

  /** Does everything that is due up to a time, which it then is. */
  runUntil(untilMs: number): void {
    for (let due = this.#heap[0]; due !== undefined && due.atMs <= untilMs; due = this.#heap[0]) {
      this.#removeFirst();
      this.#nowMs = due.atMs;
      due.act();
    }
    this.#nowMs = untilMs;
  }

  /**
   * The same for code that waits for promises: what an event sets off is finished, as far as nothing waits for later events,
   * before the next one happens.
   */
  async runAllUntil(untilMs: number): Promise<void> {
    await settled();
    for (let due = this.#heap[0]; due !== undefined && due.atMs <= untilMs; due = this.#heap[0]) {
      this.#removeFirst();
      this.#nowMs = due.atMs;
      due.act();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Due;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const least = right < heap.length && isBefore(heap[right] as Due, heap[left] as Due) ? right : left;
      if (!isBefore(heap[least] as Due, heap[at] as Due)) return;
      [heap[at], heap[least]] = [heap[least] as Due, heap[at] as Due];
      at = least;
    }
  }
}

/** All promises that are kept run before this one is. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
