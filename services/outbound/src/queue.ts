/** The wake-ups in Redis: one BullMQ queue a provider. */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

/** The queue and what tells about it. */
export interface WakeUps {
  /** What keeps it from working; undefined when it works. */
  problem(): string | undefined;
  /** Jobs that wait, are due later, or are being worked on. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

const queueName = 'deliveries';
const reconnectMsMax = 5000;

/**
 * Connects and goes on connecting: Redis may come later or go away for a while, which delays and loses nothing.
 *
 * @param serviceUdf the service whose queue it is; two providers on one Redis stay apart by it
 * @param onError told of every failure of the connection
 */
export function openWakeUps(redisUrl: string, serviceUdf: string, onError: (error: Error) => void): WakeUps {
  const connection = new Redis(redisUrl, {
    // BullMQ wants commands to wait for the connection, not to fail after some attempts
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(attempt * 100, reconnectMsMax),
  });
  connection.on('error', onError);
  const queue = new Queue(queueName, { connection, prefix: `meshd-${serviceUdf}` });
  // it repeats what the connection has reported already
  queue.on('error', (error) => connection.status === 'ready' && onError(error));
  return {
    problem: () => (connection.status === 'ready' ? undefined : `Redis: ${connection.status}`),
    count: () => queue.getJobCountByTypes('waiting', 'delayed', 'active', 'prioritized'),
    stop: async () => {
      await queue.close();
      connection.disconnect();
    },
  };
}
