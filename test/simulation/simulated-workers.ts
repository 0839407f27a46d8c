/**
 * Outbound workers with their queue: the worker's own turns and lines, a queue of one job a lane that forgets things, and
 * workers that die in the middle of a turn and are replaced.
 */
import { destinationRestMsMin, outboxLeaseMs } from '@meshd/limits/limits';
import { laneParkedMs } from '@meshd/limits/outbound';
import type { Carrier } from '@meshd/outbound/carrier';
import { type LaneNext, LaneTurns, type Outbox } from '@meshd/outbound/lane-turn';
import { Lines } from '@meshd/outbound/lines';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import { RpcError } from '@meshd/rpc/errors';
import type { SimulatedTime } from './simulated-time.ts';

/** What the workers need. */
export interface WorkersOptions {
  readonly time: SimulatedTime;
  readonly chance: () => number;
  readonly carrier: Carrier;
  /** The shard's outbox in the name of a worker; one that does not live any more gets no answer. */
  readonly outboxFor: (owner: string, isAlive: () => boolean) => Outbox;
  readonly workerCount: number;
  /** Share of wake-ups that get lost on the way. */
  readonly lostShare: number;
}

interface Job {
  readonly lane: Lane;
  dueMs: number;
  state: 'waiting' | 'running' | 'parked';
  /** Somebody woke the lane while it was worked on. */
  isWokenAgain: boolean;
}

interface LivingWorker {
  readonly turns: LaneTurns;
  isAlive: boolean;
  readonly jobs: Set<Job>;
}

/** The workers. */
export class SimulatedWorkers {
  readonly #options: WorkersOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #workers: LivingWorker[] = [];
  #started = 0;
  /** Turns that were begun. */
  turnCount = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    for (let at = 0; at < options.workerCount; at += 1) this.#workers.push(this.#start());
  }

  /** Something may be due in a lane from a time on. */
  wake(lane: Lane, dueMs: number): void {
    if (this.#options.chance() < this.#options.lostShare) return;
    const job = this.#jobs.get(nameOf(lane));
    if (job === undefined) {
      this.#add({ lane, dueMs, state: 'waiting', isWokenAgain: false });
    } else if (job.state === 'running') {
      job.isWokenAgain = true;
    } else if (dueMs < job.dueMs) {
      this.#plan(job, dueMs);
    }
  }

  /** The queue's store is emptied: everything that waited is forgotten. */
  forgetJobs(): void {
    this.#jobs.clear();
  }

  /** A worker dies in the middle of what it does; its jobs are found to be stalled after a while. */
  kill(at: number): void {
    const dead = this.#workers[at % this.#workers.length] as LivingWorker;
    dead.isAlive = false;
    this.#workers[at % this.#workers.length] = this.#start();
    for (const job of dead.jobs) {
      if (this.#jobs.get(nameOf(job.lane)) === job) this.#plan(job, this.#options.time.nowMs + outboxLeaseMs);
    }
  }

  #start(): LivingWorker {
    const { time, carrier, outboxFor } = this.#options;
    this.#started += 1;
    const clock = () => time.nowMs;
    const lines = new Lines({ clock, onDecision: () => undefined, onFree: (lane) => this.#freed(lane) });
    const worker: LivingWorker = {
      isAlive: true,
      jobs: new Set(),
      turns: new LaneTurns({
        ...{ clock, lines, signal: new AbortController().signal },
        outbox: outboxFor(`worker ${this.#started}`, () => worker.isAlive),
        carrierFor: () => carrier,
        onCarried: () => undefined,
      }),
    };
    return worker;
  }

  #freed(lane: Lane): void {
    const job = this.#jobs.get(nameOf(lane));
    if (job?.state === 'parked') this.#plan(job, this.#options.time.nowMs);
  }

  #add(job: Job): void {
    this.#jobs.set(nameOf(job.lane), job);
    this.#plan(job, job.dueMs);
  }

  #plan(job: Job, dueMs: number): void {
    job.state = 'waiting';
    job.dueMs = dueMs;
    this.#options.time.at(dueMs, () => {
      const isDue = this.#jobs.get(nameOf(job.lane)) === job && job.dueMs === dueMs && job.state !== 'running';
      if (isDue) void this.#run(job);
    });
  }

  async #run(job: Job): Promise<void> {
    const { time, chance } = this.#options;
    const worker = this.#workers[Math.floor(chance() * this.#workers.length)] as LivingWorker;
    Object.assign(job, { state: 'running', isWokenAgain: false });
    worker.jobs.add(job);
    this.turnCount += 1;
    const next = await worker.turns.turn(job.lane).catch((error: unknown): LaneNext => {
      if (!(error instanceof RpcError)) throw error;
      return { kind: 'at', timeMs: time.nowMs + destinationRestMsMin };
    });
    worker.jobs.delete(job);
    if (!worker.isAlive || this.#jobs.get(nameOf(job.lane)) !== job) return;
    if (next.kind === 'at') this.#plan(job, next.timeMs);
    else if (job.isWokenAgain) this.#plan(job, time.nowMs);
    else if (next.kind === 'none') this.#jobs.delete(nameOf(job.lane));
    else {
      this.#plan(job, time.nowMs + laneParkedMs);
      job.state = 'parked';
    }
  }
}

const nameOf = ({ domain, lane }: Lane): string => `${domain}/${lane}`;
