/**
 * A line to a destination with a bottleneck that its transfers share: each gets the share of its weight, as TCP connections
 * roughly do, the octets arrive one delay later, and the answer comes after the peer's work and another delay. What is not
 * answered within the limit of a transaction is given up; what of it had been sent was in vain.
 */
import { outboundTransactionMsMax } from '@meshd/limits/limits';
import type { SimulatedTime } from './simulated-time.ts';

/** Speed and length of a line. */
export interface LineSpeed {
  readonly megabitsPerSecond: number;
  /** One way. */
  readonly delayMs: number;
}

/** Octets on the wire for each of a message: TLS, TCP and IP around it, and JSON-B around the envelopes. */
const wireShare = 1.06;
/** Connections do not get the same share of a bottleneck. */
const weightSpread = 0.25;
/** The peer's work on a Post: signatures, database, the least time that its answers take. */
const workMsMin = 50;
const workMsSpread = 30;

interface Flow {
  readonly weight: number;
  /** Work of the shared line at which this flow has been sent, for its weight. */
  readonly finishedAt: number;
  readonly sent: () => void;
}

/** The line. */
export class SimulatedLine {
  readonly #time: SimulatedTime;
  readonly #chance: () => number;
  #speed: LineSpeed;
  readonly #flows = new Set<Flow>();
  #weights = 0;
  /** Octets sent for each unit of weight so far, and when that was told. */
  #work = 0;
  #workMs: number;
  /** Grows with every change: what was planned before is not done. */
  #plan = 0;

  constructor(time: SimulatedTime, chance: () => number, speed: LineSpeed) {
    this.#time = time;
    this.#chance = chance;
    this.#speed = speed;
    this.#workMs = time.nowMs;
  }

  /** From now on the line is another one, for what is on it too. */
  change(speed: LineSpeed): void {
    this.#advance();
    this.#speed = speed;
    this.#planNext();
  }

  /** Sends messages of so many octets together; `ended` is told whether they were answered in time. */
  send(bytes: number, ended: (result: 'done' | 'late') => void): void {
    const time = this.#time;
    this.#advance();
    const weight = 1 + weightSpread * (2 * this.#chance() - 1);
    const workMs = workMsMin + workMsSpread * this.#chance();
    let isOver = false;
    const end = (result: 'done' | 'late') => () => {
      if (isOver) return;
      isOver = true;
      if (result === 'late') this.#remove(flow);
      ended(result);
    };
    const flow: Flow = {
      weight,
      finishedAt: this.#work + (bytes * wireShare) / weight,
      sent: () => time.after(2 * this.#speed.delayMs + workMs, end('done')),
    };
    this.#flows.add(flow);
    this.#weights += weight;
    time.after(outboundTransactionMsMax, end('late'));
    this.#planNext();
  }

  get #bytesPerMs(): number {
    return (this.#speed.megabitsPerSecond * 1e6) / 8 / 1000;
  }

  #advance(): void {
    const { nowMs } = this.#time;
    if (this.#flows.size > 0) this.#work += ((nowMs - this.#workMs) * this.#bytesPerMs) / this.#weights;
    this.#workMs = nowMs;
  }

  #remove(flow: Flow): void {
    this.#advance();
    if (!this.#flows.delete(flow)) return;
    this.#weights -= flow.weight;
    this.#planNext();
  }

  /** Plans for the flow that is sent first, if nothing changes before. */
  #planNext(): void {
    this.#plan += 1;
    const plan = this.#plan;
    let first: Flow | undefined;
    for (const flow of this.#flows) if (first === undefined || flow.finishedAt < first.finishedAt) first = flow;
    if (first === undefined) return;
    const flow = first;
    const ms = (Math.max(flow.finishedAt - this.#work, 0) * this.#weights) / this.#bytesPerMs;
    this.#time.after(ms, () => {
      if (plan !== this.#plan) return;
      this.#remove(flow);
      flow.sent();
    });
  }
}
