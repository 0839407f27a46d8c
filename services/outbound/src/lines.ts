/**
 * The lines to destinations: for each a controller of how many Posts may be in work, the slots taken, the rate that sizes
 * Posts, and the lanes that found no slot and wait for one. In memory of one worker: what is forgotten is found out again.
 *
 * A destination that hangs takes at most the slots of its own controller, which an outage brings down to one; all
 * destinations together take at most `outboundPostsMax`.
 */
import { Lru } from '@meshd/crypto/lru';
import { linesKnownMax, outboundPostsMax } from '@meshd/limits/outbound';
import type { Clock } from '@meshd/process/clock';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import {
  afterTransfer,
  type ControllerDecision,
  type ControllerState,
  newController,
  type TransferSample,
} from './controller.js';
import { afterPost, nextPostBytes, type PostRate } from './post-size.js';

/** A change of a limit, told with its reason. */
export interface LimitChange extends ControllerDecision {
  readonly domain: string;
  readonly from: number;
  readonly to: number;
}

/** What {@link Lines} needs. */
export interface LinesOptions {
  readonly clock: Clock;
  /** Told of every decision, those that change nothing included. */
  readonly onDecision: (decision: LimitChange) => void;
  /** A slot is free that this lane waits for. */
  readonly onFree: (lane: Lane) => void;
}

/** The right to one Post at a time. */
export interface Slot {
  /**
   * Tells how a Post went, and begins the measure of the next.
   *
   * @param bytes of its messages
   */
  ended(result: TransferSample['result'], bytes: number): void;
  /** A Post begins now. */
  begin(): void;
  /** When it began. */
  readonly startedMs: number;
  /** Gives the slot back. */
  leave(): void;
}

interface Line {
  controller: ControllerState;
  rate: PostRate;
  inWork: number;
  /** When a Post to it last got an answer; −∞: never. */
  answeredMs: number;
  /** Lanes that wait for a slot, the longest waiting first. */
  readonly parked: Map<string, Lane>;
}

/** Lines of one worker. */
export class Lines {
  readonly #options: LinesOptions;
  /** Those with Posts in work or lanes that wait: never forgotten. */
  readonly #busy = new Map<string, Line>();
  readonly #idle = new Lru<Line>(linesKnownMax);
  /** Lanes whose own line had room, but not the worker; the longest waiting first. */
  readonly #crowdedOut = new Map<string, Lane>();
  #inWork = 0;

  constructor(options: LinesOptions) {
    this.#options = options;
  }

  /** Posts in work, all destinations together. */
  get inWork(): number {
    return this.#inWork;
  }

  /** Destinations by the Posts that may be in work, for figures. */
  get busyCount(): number {
    return this.#busy.size;
  }

  /** A slot for a destination; undefined where none is free. */
  tryEnter(domain: string): Slot | undefined {
    const line = this.#line(domain);
    if (line.inWork >= line.controller.limit || this.#inWork >= outboundPostsMax) return undefined;
    line.inWork += 1;
    this.#inWork += 1;
    this.#busy.set(domain, line);
    return this.#slot(domain, line);
  }

  /** Whether more slots are taken than may be: whoever ends a Post should leave. */
  isOver(domain: string): boolean {
    const line = this.#line(domain);
    return line.inWork > line.controller.limit;
  }

  /** Remembers a lane that found no slot, until one is free. */
  park(lane: Lane): void {
    const line = this.#line(lane.domain);
    if (line.inWork < line.controller.limit) {
      // Nothing of its own may be in work, whose end would wake it. Beyond so many the sweep finds them.
      if (this.#crowdedOut.size < linesKnownMax)
        this.#crowdedOut.set(`${lane.domain}/${lane.shard}/${lane.lane}`, lane);
      return;
    }
    line.parked.set(`${lane.shard}/${lane.lane}`, lane);
    this.#busy.set(lane.domain, line);
  }

  /** Octets of messages for the next Post. */
  postBytesMax(domain: string): number {
    return nextPostBytes(this.#line(domain).rate);
  }

  /** Whether the destination has answered since a time: then a Post that was late was late alone. */
  answeredSince(domain: string, sinceMs: number): boolean {
    return this.#line(domain).answeredMs >= sinceMs;
  }

  #slot(domain: string, line: Line): Slot {
    const { clock } = this.#options;
    let startedMs = clock();
    let inWork = line.inWork;
    let isLeft = false;
    return {
      get startedMs() {
        return startedMs;
      },
      begin: () => {
        startedMs = clock();
        inWork = line.inWork;
      },
      ended: (result, bytes) => {
        const endedMs = clock();
        if (result === 'done') line.answeredMs = endedMs;
        if (result !== 'failed') line.rate = afterPost(line.rate, bytes, endedMs - startedMs, result === 'done');
        this.#decide(domain, line, { startedMs, endedMs, result, inWork });
      },
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        line.inWork -= 1;
        this.#inWork -= 1;
        this.#wakeParked(line);
        this.#wakeCrowdedOut();
        if (line.inWork > 0 || line.parked.size > 0) return;
        this.#busy.delete(domain);
        this.#idle.set(domain, line);
      },
    };
  }

  #decide(domain: string, line: Line, sample: TransferSample): void {
    const from = line.controller.limit;
    const { state, decision } = afterTransfer(line.controller, sample);
    line.controller = state;
    this.#options.onDecision({ ...decision, domain, from, to: state.limit });
    if (state.limit > from) this.#wakeParked(line);
  }

  #wakeParked(line: Line): void {
    let free = line.controller.limit - line.inWork;
    for (const [name, lane] of line.parked) {
      if (free <= 0) return;
      free -= 1;
      line.parked.delete(name);
      this.#options.onFree(lane);
    }
  }

  /** One for each slot that is given back: it may park again, at its own line then. */
  #wakeCrowdedOut(): void {
    const [first] = this.#crowdedOut;
    if (first === undefined) return;
    const [name, lane] = first;
    this.#crowdedOut.delete(name);
    this.#options.onFree(lane);
  }

  #line(domain: string): Line {
    const known = this.#busy.get(domain) ?? this.#idle.get(domain);
    if (known !== undefined) return known;
    const controller = newController(this.#options.clock());
    const line = { controller, rate: undefined, inWork: 0, answeredMs: Number.NEGATIVE_INFINITY, parked: new Map() };
    this.#idle.set(domain, line);
    return line;
  }
}
