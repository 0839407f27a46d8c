/**
 * How much of a line the outbound worker gets: its own controller, slots and sizes of Posts over a simulated line with always
 * something to send, beside the best number of Posts at a time that never changes.
 */
import { messageBytesMax, postMessagesMax } from '@meshd/limits/limits';
import { outboundPostsPerDestinationMax } from '@meshd/limits/outbound';
import { Lines } from '@meshd/outbound/lines';
import { afterPost, nextPostBytes, type PostRate } from '@meshd/outbound/post-size';
import { type LineSpeed, SimulatedLine } from './simulated-line.ts';
import { SimulatedTime, seededChance } from './simulated-time.ts';

/** What came through. */
export interface Throughput {
  /** Octets of messages that were answered, a second of the time that counts. */
  readonly bytesPerSecond: number;
  /** The same of the worst stretch of it. */
  readonly worstBytesPerSecond: number;
  /** Posts that were given up, of all that ended in the time that counts. */
  readonly lateShare: number;
  /** Posts at a time at the end. */
  readonly limit: number;
}

/** Long enough for a slow line to carry tens of messages. */
const stretchMs = 20_000;

/** A run: the line at first, perhaps another one later, and from when to when what comes through counts. */
export interface Run {
  readonly seed: number;
  readonly speed: LineSpeed;
  readonly change?: { readonly atMs: number; readonly speed: LineSpeed } | undefined;
  readonly countFromMs: number;
  readonly untilMs: number;
}

const domain = 'beta.test';

/** Full messages of a Post of so many octets; one always goes. */
const bytesOfPost = (bytesMax: number): number =>
  Math.min(Math.max(Math.floor(bytesMax / messageBytesMax), 1), postMessagesMax) * messageBytesMax;

class Count {
  #done = 0;
  #late = 0;
  /** Octets, by stretches. */
  readonly #bytes: number[];
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
    this.#bytes = new Array(Math.floor((run.untilMs - run.countFromMs) / stretchMs)).fill(0);
  }

  add(nowMs: number, result: 'done' | 'late', bytes: number): void {
    const stretch = Math.floor((nowMs - this.#run.countFromMs) / stretchMs);
    const before = this.#bytes[stretch];
    if (before === undefined) return;
    this.#late += result === 'late' ? 1 : 0;
    this.#done += result === 'late' ? 0 : 1;
    this.#bytes[stretch] = before + (result === 'late' ? 0 : bytes);
  }

  throughput(limit: number): Throughput {
    const rates = this.#bytes.map((bytes) => (bytes * 1000) / stretchMs);
    return {
      bytesPerSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
      worstBytesPerSecond: Math.min(...rates),
      lateShare: this.#late / Math.max(this.#done + this.#late, 1),
      limit,
    };
  }
}

function lineOf(run: Run): { readonly time: SimulatedTime; readonly line: SimulatedLine } {
  const time = new SimulatedTime(0);
  const line = new SimulatedLine(time, seededChance(run.seed), run.speed);
  const { change } = run;
  if (change !== undefined) time.at(change.atMs, () => line.change(change.speed));
  return { time, line };
}

/** The worker's own code. */
export function controlled(run: Run): Throughput {
  const { time, line } = lineOf(run);
  const count = new Count(run);
  let limit = 0;
  const lines = new Lines({
    clock: () => time.nowMs,
    onDecision: ({ to }) => {
      limit = to;
    },
    onFree: () => undefined,
  });
  const fill = (): void => {
    for (let slot = lines.tryEnter(domain); slot !== undefined; slot = lines.tryEnter(domain)) {
      const own = slot;
      const send = (): void => {
        own.begin();
        const bytes = bytesOfPost(lines.postBytesMax(domain));
        line.send(bytes, (result) => {
          count.add(time.nowMs, result, bytes);
          own.ended(result, bytes);
          if (lines.isOver(domain)) own.leave();
          else send();
          fill();
        });
      };
      send();
    }
  };
  fill();
  time.runUntil(run.untilMs);
  return count.throughput(limit);
}

/** So many Posts at a time, whatever happens; Posts are sized in the same way. */
export function fixed(run: Run, limit: number): Throughput {
  const { time, line } = lineOf(run);
  const count = new Count(run);
  let rate: PostRate;
  const send = (): void => {
    const bytes = bytesOfPost(nextPostBytes(rate));
    const startedMs = time.nowMs;
    line.send(bytes, (result) => {
      count.add(time.nowMs, result, bytes);
      rate = afterPost(rate, bytes, time.nowMs - startedMs, result === 'done');
      send();
    });
  };
  for (let at = 0; at < limit; at += 1) send();
  time.runUntil(run.untilMs);
  return count.throughput(limit);
}

/** Limits that are tried: dense where one more matters. */
const fixedLimits = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, outboundPostsPerDestinationMax];

/** The most that any limit gets through the line as it is in the end. */
export function bestFixed({ seed, speed, change }: Run): Throughput {
  const run = { seed, speed: change?.speed ?? speed, countFromMs: stretchMs, untilMs: 3 * stretchMs };
  const all = fixedLimits.map((limit) => fixed(run, limit));
  return all.reduce((best, each) => (each.bytesPerSecond > best.bytesPerSecond ? each : best));
}

/** A run beside the best that is possible. */
export interface Comparison {
  readonly name: string;
  /** Of the best fixed limit's throughput, in the worst stretch after the line was to be settled. */
  readonly share: number;
  readonly lateShare: number;
  readonly limit: number;
  readonly bestLimit: number;
  readonly bytesPerSecond: number;
  readonly bestBytesPerSecond: number;
}

const nameOf = ({ megabitsPerSecond, delayMs }: LineSpeed): string => `${megabitsPerSecond} Mb/s ${delayMs} ms`;

/** Compares the worker with the best fixed limit. */
export function compare(run: Run): Comparison {
  const found = controlled(run);
  const best = bestFixed(run);
  return {
    name: nameOf(run.speed) + (run.change === undefined ? '' : ` → ${nameOf(run.change.speed)}`),
    share: found.worstBytesPerSecond / best.bytesPerSecond,
    lateShare: found.lateShare,
    ...{ limit: found.limit, bestLimit: best.limit },
    ...{ bytesPerSecond: found.worstBytesPerSecond, bestBytesPerSecond: best.bytesPerSecond },
  };
}

/** Time to settle after a start or a change (the limit that the figure checks), and how long is looked at then. */
const settleMs = 30_000;
const lookedAtMs = 3 * stretchMs;

/** A line that stays as it is. */
export const steadyRun = (seed: number, speed: LineSpeed): Run => ({
  ...{ seed, speed, countFromMs: settleMs, untilMs: settleMs + lookedAtMs },
});

/** A line that changes after it was settled. */
export function changingRun(seed: number, speed: LineSpeed, after: LineSpeed): Run {
  const atMs = 2 * settleMs;
  const countFromMs = atMs + settleMs;
  return { seed, speed, change: { atMs, speed: after }, countFromMs, untilMs: countFromMs + lookedAtMs };
}

const speeds = [1, 1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100];
const delays = [5, 20, 50, 100, 200];

/** Every line of the figure, steady. */
export function steadyRuns(seed: number): Run[] {
  const pairs = speeds.flatMap((megabitsPerSecond) => delays.map((delayMs) => ({ megabitsPerSecond, delayMs })));
  return pairs.map((speed, at) => steadyRun(seed + at, speed));
}

/** Changes up and down, of speed, of length, and of both. */
export function changingRuns(seed: number): Run[] {
  const corners = [
    ...[
      { megabitsPerSecond: 1, delayMs: 5 },
      { megabitsPerSecond: 1, delayMs: 200 },
    ],
    ...[{ megabitsPerSecond: 10, delayMs: 50 }],
    ...[
      { megabitsPerSecond: 100, delayMs: 5 },
      { megabitsPerSecond: 100, delayMs: 200 },
    ],
  ];
  const pairs = corners.flatMap((from) => corners.filter((to) => to !== from).map((to) => ({ from, to })));
  return pairs.map(({ from, to }, at) => changingRun(seed + at, from, to));
}
