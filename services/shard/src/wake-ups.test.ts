import { randomBytes } from 'node:crypto';
import { deliveryQueue } from '@meshd/rpc/delivery-jobs';
import { Job, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWakeUps, type WakeUps } from './wake-ups.js';

const redisUrl = process.env.MESHD_TEST_REDIS_URL as string;
let serviceUdf: string;
let wakeUps: WakeUps;
let redis: Redis;
let queue: Queue;
let lost: number;
const nowMs = 1_000_000;

const open = (url: string) =>
  openWakeUps({
    ...{ redisUrl: url, serviceUdf, shardName: 'shard-0', now: () => nowMs },
    onError: () => {},
    onLost: (count) => {
      lost += count;
    },
  });

beforeEach(async () => {
  serviceUdf = `test-${randomBytes(6).toString('hex')}`;
  lost = 0;
  redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  queue = new Queue(deliveryQueue.name, { connection: redis, prefix: `meshd-${serviceUdf}` });
  wakeUps = open(redisUrl);
});

afterEach(async () => {
  await wakeUps.stop();
  await queue.obliterate({ force: true });
  await queue.close();
  redis.disconnect();
});

const jobs = async () =>
  (await queue.getJobs(['waiting', 'delayed', 'prioritized'])).filter((job) => job instanceof Job);
const found = async () => (await jobs()).map(({ name, data, delay }) => ({ name, data, delay }));
const job = (lane: number, delay = 0) => ({
  name: 'deliver',
  data: { shard: 'shard-0', domain: 'beta.test', lane },
  delay,
});

/** The connection may not be there yet, and what is woken then is lost. */
async function connected(): Promise<void> {
  await expect
    .poll(async () => {
      wakeUps.wake([{ domain: 'beta.test', lane: 9, dueMs: 0 }]);
      return found();
    })
    .toEqual([job(9)]);
  await queue.obliterate({ force: true });
  lost = 0;
}

describe('wake-ups', () => {
  test('are one job a lane, with identifiers and nothing else', async () => {
    await connected();
    for (let at = 0; at < 100; at += 1) wakeUps.wake([{ domain: 'beta.test', lane: 3, dueMs: 0 }]);
    wakeUps.wake([{ domain: 'beta.test', lane: 4, dueMs: 0 }]);
    await expect.poll(async () => (await found()).sort((a, b) => a.data.lane - b.data.lane)).toEqual([job(3), job(4)]);
  });

  test('of a later time leave a job as it is; what is due now brings it forward', async () => {
    await connected();
    wakeUps.wake([{ domain: 'beta.test', lane: 3, dueMs: nowMs + 60_000 }]);
    await expect.poll(found).toEqual([job(3, 60_000)]);
    wakeUps.wake([{ domain: 'beta.test', lane: 3, dueMs: nowMs + 50_000 }]);
    wakeUps.wake([{ domain: 'beta.test', lane: 4, dueMs: 0 }]);
    await expect.poll(async () => (await found()).length).toBe(2);
    expect(await found()).toContainEqual(job(3, 60_000));
    wakeUps.wake([{ domain: 'beta.test', lane: 3, dueMs: 0 }]);
    await expect.poll(async () => (await found()).map(({ delay }) => delay)).toEqual([0, 0]);
  });

  test('without Redis are lost, and harm nobody', async () => {
    const without = open('redis://127.0.0.1:1');
    without.wake([{ domain: 'beta.test', lane: 3, dueMs: 0 }]);
    await expect.poll(() => lost).toBe(1);
    await without.stop();
  });
});
