/** Two workers at one provider, on the same lanes: each message arrives once, and those for one recipient in order. */
import { expect, it } from 'vitest';
import {
  expectDelivered,
  frameCount,
  programOf,
  sharedProviders,
  testMs,
  untilFiled,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';
import type { Person } from './person.js';

let carol: Person;
const made = sharedProviders(async ({ person, beta }) => {
  carol = await person('carol', beta);
});

it(
  '[R169] a worker that wakes up after its lease has ended, and the one that did its work meanwhile',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    const slow = programOf(alpha, 'outbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    slow.signal('SIGSTOP');
    await alpha.secondWorker();
    ids.push(await alice.send(bob));
    // The time of the lease, and of the job, goes by.
    await alpha.query('UPDATE outbox SET lease_until_ms = 1 WHERE lease_owner IS NOT NULL');
    await redis.flush();
    beta.door.open();
    await untilWaiting(alpha, (rows) => rows.length === 0);
    slow.signal('SIGCONT');
    ids.push(await alice.send(bob));
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);

it(
  '[R169] wake-ups that come double give no message to both',
  async () => {
    const { alice, bob, alpha, beta, redis } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    const sent = { bob: [] as string[], carol: [] as string[] };
    for (let round = 0; round < 4; round += 1) {
      sent.bob.push(...(await alice.sendMany(bob, 5)));
      sent.carol.push(...(await alice.sendMany(carol, 5)));
      // Lanes in work get second jobs.
      await redis.flush();
    }
    await expectDelivered(alice, bob, sent.bob);
    await expectDelivered(alice, carol, sent.carol);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + sent.bob.length + sent.carol.length);
  },
  testMs,
);
