import { randomBytes } from 'node:crypto';
import { laneParkedMs } from '@meshd/limits/outbound';
import { deliveryQueue, type Lane } from '@meshd/rpc/delivery-jobs';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LaneNext } from './lane-turn.js';
import { openWakeUps, type WakeUps } from './queue.js';

const redisUrl = process.env.MESHD_TEST_REDIS_URL as string;
const lane: Lane = { shard: 'shard-0', domain: 'beta.test', lane: 3 };
const now = { ...lane, dueMs: 0 };
const hourMs = 3600 * 1000;
const patience = { timeout: 20_000, interval: 20 };

let serviceUdf: string;
let redis: Redis;
let wakeUps: WakeUps;
/** Turns so far, those in work, and the most that were in work together. */
let seen: { turns: number; inWork: number; inWorkMax: number };

beforeEach(async () => {
  serviceUdf = `test-${randomBytes(6).toString('hex')}`;
  redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  wakeUps = openWakeUps({ redisUrl, serviceUdf, clock: Date.now, onError: () => {} });
  seen = { turns: 0, inWork: 0, inWorkMax: 0 };
  await expect.poll(() => wakeUps.problem(), patience).toBeUndefined();
});

afterEach(async () => {
  await wakeUps.stop();
  await lose();
  redis.disconnect();
});

/** Redis forgets everything of this queue. */
async function lose(): Promise<void> {
  const keys = await redis.keys(`${deliveryQueue.prefix(serviceUdf)}:*`);
  if (keys.length > 0) await redis.del(keys);
}

/** Takes jobs; each turn does what the function says, which is told how many there were before. */
function work(turn: (before: number) => Promise<LaneNext>): void {
  wakeUps.work(async (found) => {
    expect(found).toEqual(lane);
    seen.inWork += 1;
    seen.inWorkMax = Math.max(seen.inWorkMax, seen.inWork);
    try {
      return await turn(seen.turns++);
    } finally {
      seen.inWork -= 1;
    }
  });
}

/** Something to wait for, and what ends the waiting. */
function barrier(): { readonly passed: Promise<void>; pass(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, pass: resolve };
}

const turns = (count: number) => expect.poll(() => seen.turns, patience).toBe(count);
const empty = () => expect.poll(() => wakeUps.count(), patience).toBe(0);

describe('a lane', () => {
  it('has one job, however often it is woken, and one more turn when it is woken in the middle of one', async () => {
    for (let at = 0; at < 20; at += 1) await wakeUps.add([now]);
    expect(await wakeUps.count()).toBe(1);
    const held = barrier();
    work(async (before) => {
      if (before === 0) await held.passed;
      return { kind: 'none' };
    });
    await turns(1);
    for (let at = 0; at < 20; at += 1) await wakeUps.add([now]);
    held.pass();
    await turns(2);
    await empty();
    expect(seen).toEqual({ turns: 2, inWork: 0, inWorkMax: 1 });
  });

  it('waits for its time, and goes at once when it is woken', async () => {
    work(async () => ({ kind: 'none' }));
    await wakeUps.add([{ ...lane, dueMs: Date.now() + hourMs }]);
    expect(await wakeUps.count()).toBe(1);
    await wakeUps.add([{ ...lane, dueMs: Date.now() + hourMs }]);
    expect([await wakeUps.count(), seen.turns]).toEqual([1, 0]);
    await wakeUps.add([now]);
    await turns(1);
    await empty();
  });

  it('that must wait keeps its job until there is nothing more to do', async () => {
    work(async (before) => (before < 2 ? { kind: 'at', timeMs: Date.now() + 50 } : { kind: 'none' }));
    await wakeUps.add([now]);
    await turns(3);
    await empty();
  });

  it('that found no free slot is looked at as soon as there is one, whether it comes during the turn or after', async () => {
    const begunMs = Date.now();
    work(async (before) => {
      if (before === 0) wakeUps.free(lane);
      return before < 2 ? { kind: 'parked' } : { kind: 'none' };
    });
    await wakeUps.add([now]);
    await turns(2);
    await expect
      .poll(async () => {
        wakeUps.free(lane);
        return seen.turns;
      }, patience)
      .toBe(3);
    expect(Date.now() - begunMs).toBeLessThan(laneParkedMs);
  });

  it('[R169] is not worked on twice where Redis has lost the job of the turn that goes on', async () => {
    const held = barrier();
    work(async (before) => {
      if (before === 0) await held.passed;
      return { kind: 'none' };
    });
    await wakeUps.add([now]);
    await turns(1);
    await lose();
    await wakeUps.add([now]);
    // The second job is put off, again and again if need be.
    await expect
      .poll(() => redis.zcard(`${deliveryQueue.prefix(serviceUdf)}:${deliveryQueue.name}:delayed`), patience)
      .toBe(1);
    expect(seen).toEqual({ turns: 1, inWork: 1, inWorkMax: 1 });
    held.pass();
    await turns(2);
    await empty();
    expect(seen.inWorkMax).toBe(1);
  });
});

it('a job that names no lane is thrown away', async () => {
  const queue = new Queue(deliveryQueue.name, { connection: redis, prefix: deliveryQueue.prefix(serviceUdf) });
  await queue.add('deliver', { shard: 'shard-0', domain: 'beta.test', lane: 99 }, { removeOnFail: true });
  work(async () => ({ kind: 'none' }));
  await empty();
  expect(seen.turns).toBe(0);
  await queue.close();
});

it('stopping waits for the turn in work, and takes no other', async () => {
  const held = barrier();
  work(async () => {
    await held.passed;
    return { kind: 'at', timeMs: Date.now() };
  });
  await wakeUps.add([now]);
  await turns(1);
  let isStopped = false;
  const stopping = wakeUps.stop().then(() => {
    isStopped = true;
  });
  expect(isStopped).toBe(false);
  held.pass();
  await stopping;
  expect(seen.turns).toBe(1);
});
