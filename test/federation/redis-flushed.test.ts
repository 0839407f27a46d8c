/** Redis loses everything while messages are on their way: nothing is lost, and the sweeper makes the wake-ups again. */
import { outboxSweepMs } from '@meshd/limits/outbound';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  expectDelivered,
  type Infrastructure,
  patience,
  startInfrastructure,
  testMs,
  untilFiled,
  waiting,
} from './infrastructure-kit.js';

let made: Infrastructure;
beforeAll(async () => {
  made = await startInfrastructure();
}, testMs);
afterAll(() => made?.stop());

it(
  '[R169] FLUSHALL in the middle of a Post loses nothing and doubles nothing',
  async () => {
    const { alice, bob, alpha, beta, redis } = made;
    beta.door.mute();
    const first: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => first.push(await alice.send(bob)));
    await redis.flush();
    // The lane has no job left that these could wait behind.
    const later = await alice.sendMany(bob, 3);
    await redis.flush();
    beta.door.open();
    await expectDelivered(alice, bob, [...first, ...later]);
    expect(await waiting(alpha)).toEqual([]);
  },
  testMs,
);

it(
  '[R169] lanes whose jobs have vanished while their destination rests are found by the sweeper',
  async () => {
    const { alice, bob, alpha, beta, redis } = made;
    beta.door.close();
    const ids = await alice.sendMany(bob, 2);
    await expect.poll(() => waiting(alpha), patience).toMatchObject([{ attempts: 1 }, {}]);
    beta.door.open();
    await redis.flush();
    const flushedMs = Date.now();
    await expectDelivered(alice, bob, ids);
    // One sweep and one rest, and some room for a machine that has much to do.
    expect(Date.now() - flushedMs).toBeLessThan(2 * outboxSweepMs + 10_000);
    expect(await waiting(alpha)).toEqual([]);
  },
  testMs,
);
