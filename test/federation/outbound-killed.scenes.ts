/** The worker dies while it sends: its leases end, and who comes after it sends again what was not settled. */
import { expect, it } from 'vitest';
import { expectDelivered, frameCount, sharedProviders, testMs, untilFiled, waiting } from './infrastructure-kit.js';

const made = sharedProviders();

it(
  '[R169] a worker that is killed while it sends loses nothing and doubles nothing',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    ids.push(...(await alice.sendMany(bob, 2)));
    await alpha.processes.killOne('outbound');
    beta.door.cut();
    beta.door.open();
    expect((await waiting(alpha)).map((row) => row.message_id)).toEqual(ids);
    await alpha.processes.startOne('outbound');
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
  },
  testMs,
);
