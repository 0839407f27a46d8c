/**
 * The wake-ups in Redis, and the work on them: one BullMQ queue a provider, one job a lane (design 6).
 *
 * A job that must wait is moved to its time and keeps its identity, so that a lane never has two. Redis may come later, go
 * away or lose everything: that delays and loses nothing, since the sweeper makes jobs again from the outbox.
 */
import { lanesPerDestination, outboxLeaseMs, redisReconnectMsMax, stalledLanesCheckMs } from '@meshd/limits/limits';
import { laneBusyMs, laneParkedMs, outboundPostsMax } from '@meshd/limits/outbound';
import type { Clock } from '@meshd/process/clock';
import { deliverJob, deliveryQueue, type Lane, laneName } from '@meshd/rpc/delivery-jobs';
import { DelayedError, type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { z } from 'zod';
import type { LaneNext } from './lane-turn.js';
import type { DueLane } from './sweeper.js';

/** The queue and what tells about it. */
export interface WakeUps {
  /** What keeps it from working; undefined when it works. */
  problem(): string | undefined;
  /** Jobs that wait, are due later, or are being worked on. */
  count(): Promise<number>;
  /** Wakes lanes that have no job, or one that waits for later than they are due. */
  add(lanes: readonly DueLane[]): Promise<void>;
  /** A lane that had to wait for a slot need not wait any longer. */
  free(lane: Lane): void;
  /** Begins to take jobs. */
  work(turn: (lane: Lane) => Promise<LaneNext>): void;
  /** Takes no more jobs and waits for those in work. */
  stop(): Promise<void>;
}

/** What {@link openWakeUps} needs. */
export interface WakeUpsOptions {
  readonly redisUrl: string;
  /** The service whose queue it is; two providers on one Redis stay apart by it. */
  readonly serviceUdf: string;
  readonly clock: Clock;
  /** Told of every failure of the connection. */
  readonly onError: (error: Error) => void;
}

/** Jobs come from outside of this process. */
const laneForm = z.object({
  shard: z.string().min(1),
  domain: z.string().min(1),
  lane: z
    .number()
    .int()
    .min(0)
    .max(lanesPerDestination - 1),
});

/** Connects and goes on connecting. */
export function openWakeUps(options: WakeUpsOptions): WakeUps {
  const { clock } = options;
  const connection = new Redis(options.redisUrl, {
    // BullMQ wants commands to wait for the connection, not to fail after some attempts
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(attempt * 100, redisReconnectMsMax),
  });
  const isReady = (): boolean => connection.status === 'ready';
  // both repeat what the connection has reported already
  const onQueueError = (error: Error): void => void (isReady() && options.onError(error));
  connection.on('error', options.onError);
  const shared = { connection, prefix: deliveryQueue.prefix(options.serviceUdf) };
  const queue = new Queue(deliveryQueue.name, shared);
  queue.on('error', onQueueError);
  let worker: Worker | undefined;
  let isStopping = false;
  /** Lanes that this worker is on; true: a slot came free meanwhile. */
  const active = new Map<string, boolean>();
  const turns = new Set<Promise<LaneNext>>();

  const add = async (lanes: readonly DueLane[]): Promise<void> => {
    if (lanes.length === 0 || !isReady()) return;
    const nowMs = clock();
    await queue.addBulk(lanes.map((lane) => deliverJob(lane, lane.dueMs, nowMs)));
  };
  const addNow = (lane: Lane): void => {
    add([{ ...lane, dueMs: 0 }]).catch(options.onError);
  };

  const work = async (turn: (lane: Lane) => Promise<LaneNext>, job: Job, token: string | undefined): Promise<void> => {
    const read = laneForm.safeParse(job.data);
    if (!read.success) throw new Error('a job that names no lane');
    const lane = read.data;
    const name = laneName(lane);
    const delay = async (timeMs: number): Promise<never> => {
      await job.moveToDelayed(timeMs, token);
      throw new DelayedError();
    };
    // After Redis lost everything a lane may get a second job while the first is in work; and a worker that is stopping may
    // still be handed a job, which is for another one, or for itself when it has started again.
    if (isStopping || active.has(name)) return delay(clock() + laneBusyMs);
    active.set(name, false);
    const turning = turn(lane);
    turns.add(turning);
    try {
      const next = await turning.finally(() => turns.delete(turning));
      if (next.kind === 'none') return;
      const isFreed = active.get(name) === true;
      const timeMs = next.kind === 'at' ? next.timeMs : clock() + (isFreed ? 0 : laneParkedMs);
      await job.moveToDelayed(timeMs, token);
      if (!isFreed && active.get(name) === true) addNow(lane);
    } finally {
      active.delete(name);
    }
    throw new DelayedError();
  };

  return {
    problem: () => (isReady() ? undefined : `Redis: ${connection.status}`),
    count: () => queue.getJobCountByTypes('waiting', 'delayed', 'active', 'prioritized'),
    add,
    free: (lane) => {
      const name = laneName(lane);
      if (active.has(name)) active.set(name, true);
      else addNow(lane);
    },
    work: (turn) => {
      worker = new Worker(deliveryQueue.name, (job, token) => work(turn, job, token), {
        ...shared,
        concurrency: outboundPostsMax,
        lockDuration: outboxLeaseMs,
        stalledInterval: stalledLanesCheckMs,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      });
      worker.on('error', onQueueError);
    },
    stop: async () => {
      isStopping = true;
      await worker?.pause(true);
      await Promise.allSettled(turns);
      // Without Redis jobs cannot be put back, and need not be: the sweeper makes them again.
      await worker?.close(!isReady());
      await queue.close();
      connection.disconnect();
    },
  };
}
