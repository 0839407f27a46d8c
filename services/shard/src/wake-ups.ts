/**
 * Wake-ups for the outbound worker: one BullMQ job a lane. They hold no truth (design 3.3): what is not handed over, or is
 * lost in Redis, the worker's sweeper finds in the outbox. So nobody waits for them, and their failure harms nothing.
 */
import { redisReconnectMsMax } from '@meshd/limits/limits';
import { wakeUpsWaitingMax } from '@meshd/limits/outbox';
import { deliverJob, deliveryQueue } from '@meshd/rpc/delivery-jobs';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

/** A lane with work, due at a time. */
export interface WakeUp {
  readonly domain: string;
  readonly lane: number;
  /** Unix time in milliseconds; 0: now. */
  readonly dueMs: number;
}

/** Where wake-ups go. */
export interface WakeUps {
  /** Returns at once. */
  wake(lanes: readonly WakeUp[]): void;
  stop(): Promise<void>;
}

/** For shards without Redis: the sweeper alone. */
export const noWakeUps: WakeUps = { wake: () => {}, stop: async () => {} };

/** What {@link openWakeUps} needs. */
export interface WakeUpOptions {
  readonly redisUrl: string;
  /** Two providers on one Redis stay apart by it. */
  readonly serviceUdf: string;
  readonly shardName: string;
  readonly now: () => number;
  /** Told of every failure. */
  readonly onError: (error: Error) => void;
  /** Told of wake-ups that were not handed over. */
  readonly onLost?: (count: number) => void;
}

/** Connects, and goes on connecting. */
export function openWakeUps(options: WakeUpOptions): WakeUps {
  const { shardName, now, onError, onLost = () => {} } = options;
  const connection = new Redis(options.redisUrl, {
    // A command that loses its connection fails soon: the sweeper finds later what it would have told.
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => Math.min(attempt * 100, redisReconnectMsMax),
  });
  connection.on('error', onError);
  const queue = new Queue(deliveryQueue.name, { connection, prefix: deliveryQueue.prefix(options.serviceUdf) });
  // it repeats what the connection has reported already
  queue.on('error', (error) => connection.status === 'ready' && onError(error));
  /** Each lane once, at the earliest of its times. */
  let waiting = new Map<string, WakeUp>();
  let flushing: Promise<void> | undefined;

  const flush = async (): Promise<void> => {
    // this turn's wake-ups go together
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.size > 0) {
      const lanes = [...waiting.values()];
      waiting = new Map();
      try {
        if (connection.status !== 'ready') throw new Error(`Redis: ${connection.status}`);
        await queue.addBulk(lanes.map((lane) => deliverJob({ shard: shardName, ...lane }, lane.dueMs, now())));
      } catch (error) {
        onLost(lanes.length);
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    }
  };
  return {
    wake: (lanes) => {
      for (const lane of lanes) {
        const key = `${lane.domain}/${lane.lane}`;
        const known = waiting.get(key);
        if (known === undefined && waiting.size >= wakeUpsWaitingMax) onLost(1);
        else if (known === undefined || known.dueMs > lane.dueMs) waiting.set(key, lane);
      }
      flushing ??= flush().finally(() => {
        flushing = undefined;
      });
    },
    stop: async () => {
      await flushing;
      await queue.close().catch(() => {});
      connection.disconnect();
    },
  };
}
