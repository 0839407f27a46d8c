/** Redis goes away and comes back empty: messages are taken all the while, and delivered when it is back. */
import { expect, it, vi } from 'vitest';
import {
  expectDelivered,
  frameCount,
  patience,
  programOf,
  sharedProviders,
  testMs,
  untilFiled,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

it(
  '[R169] without Redis messages are taken, and delivered when it is back',
  async () => {
    const { alice, bob, alpha, redis } = made();
    await redis.stop();
    const ids = await alice.sendMany(bob, 3);
    expect((await waiting(alpha)).map((row) => row.message_id)).toEqual(ids);
    await redis.start();
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
  },
  testMs,
);

it(
  '[R169] a restart in the middle of a Post loses nothing and doubles nothing',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    await redis.stop();
    beta.door.open();
    ids.push(...(await alice.sendMany(bob, 2)));
    await redis.start();
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);

it(
  '[R169] a worker that is stopped without it ends what it has begun, in good order, and begins again with it',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    await redis.stop();
    const worker = programOf(alpha, 'outbound');
    const stopped = alpha.processes.stopOne('outbound');
    await vi.waitFor(() => expect(worker.tail()).toContain('"stopping"'), patience);
    beta.door.open();
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect((await waiting(alpha)).filter((row) => row.lease_owner !== null)).toEqual([]);
    ids.push(await alice.send(bob));
    await redis.start();
    await alpha.processes.startOne('outbound');
    await expectDelivered(alice, bob, ids);
  },
  testMs,
);
