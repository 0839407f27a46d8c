/** The database of a provider goes away and comes back, at the sender's and at the recipient's side. */
import { expect, it } from 'vitest';
import {
  expectDelivered,
  frameCount,
  sharedProviders,
  testMs,
  untilBack,
  untilFiled,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

it(
  "[R169] the sender's goes away while a Post is on its way: its answer is not lost, or is asked for again",
  async () => {
    const { alice, bob, alpha, beta, postgres } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    await postgres.stop();
    // The answer comes while nobody can write it down.
    beta.door.open();
    await postgres.start();
    await untilBack(alpha);
    ids.push(await alice.send(bob));
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);

it(
  "[R169] the recipient's is away: the sender's service tries again until it is back",
  async () => {
    const { alice, bob, alpha, beta, postgres } = made();
    const before = await frameCount(alpha, 'mmm_Inbound');
    await postgres.stop();
    const ids = await bob.sendMany(alice, 2);
    await untilWaiting(beta, ([first]) => (first?.attempts ?? 0) > 0);
    await postgres.start();
    await untilBack(alpha);
    await expectDelivered(bob, alice, ids);
    expect(await waiting(beta)).toEqual([]);
    expect(await frameCount(alpha, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);
