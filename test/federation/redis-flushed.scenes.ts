/** Redis loses everything while messages are on their way: nothing is lost, and the sweeper makes the wake-ups again. */
import { outboxSweepMs } from '@meshd/limits/outbound';
import { expect, it } from 'vitest';
import {
  expectDelivered,
  frameCount,
  sharedProviders,
  testMs,
  untilFiled,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

it(
  '[R169] a flush in the middle of a Post loses nothing and doubles nothing',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    await redis.flush();
    // The lane has no job any more that these could wait behind.
    ids.push(...(await alice.sendMany(bob, 3)));
    await redis.flush();
    beta.door.open();
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);

it(
  '[R169] the sweeper finds lanes whose jobs have vanished',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    beta.door.close();
    const ids = await alice.sendMany(bob, 2);
    await untilWaiting(alpha, ([first]) => first?.attempts === 1);
    beta.door.open();
    await redis.flush();
    const flushedMs = Date.now();
    await expectDelivered(alice, bob, ids);
    // A sweep and a rest, and some room for a machine that has much to do.
    expect(Date.now() - flushedMs).toBeLessThan(4 * outboxSweepMs);
    expect(await waiting(alpha)).toEqual([]);
  },
  testMs,
);
