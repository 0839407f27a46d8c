/** Answers get lost, so the same messages come again: they are filed once, whatever the recipient's side went through. */
import { expect, it } from 'vitest';
import {
  expectDelivered,
  figuresOf,
  frameCount,
  shard,
  sharedProviders,
  testMs,
  untilFiled,
  untilWaiting,
  waiting,
} from './infrastructure-kit.js';

const made = sharedProviders();

it(
  '[R171] [R177] [S73] what comes again after 5 s without an answer is filed once, also when nobody has it in memory any more',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const before = await frameCount(beta, 'mmm_Inbound');
    beta.door.mute();
    const ids: string[] = [];
    await untilFiled(beta, 'mmm_Inbound', async () => ids.push(await alice.send(bob)));
    // This one goes with it when it comes again.
    ids.push(await alice.send(bob));
    await untilWaiting(alpha, ([first]) => (first?.attempts ?? 0) > 0);
    expect(await alpha.query('SELECT last_failure FROM destination')).toEqual([{ last_failure: 'timeout' }]);
    expect(await figuresOf(alpha, 'outbound')).toMatch(/outbound_posts_total\{[^}]*result="timeout"[^}]*\} 1\b/);
    beta.door.close();
    await Promise.all([shard, 'router'].map((name) => beta.processes.killOne(name)));
    await Promise.all([shard, 'router'].map((name) => beta.processes.startOne(name)));
    beta.door.open();
    await expectDelivered(alice, bob, ids);
    expect(await waiting(alpha)).toEqual([]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before + ids.length);
    for (const id of ids) expect(await bob.octetsOf('inbound', id)).toEqual(await alice.octetsOf('outbound', id));
  },
  testMs,
);

it(
  '[S73] [S81] a message that was delivered and comes again from a backup of the outbox changes nothing',
  async () => {
    const { alice, bob, alpha, beta } = made();
    const worker = 'outbound';
    await alpha.processes.stopOne(worker);
    const id = await alice.send(bob);
    const [row] = await alpha.query('SELECT * FROM outbox');
    await alpha.processes.startOne(worker);
    await expectDelivered(alice, bob, [id]);
    const before = await frameCount(beta, 'mmm_Inbound');
    const columns = Object.keys(row ?? {});
    const places = columns.map((_, at) => `$${at + 1}`);
    await alpha.query(
      `INSERT INTO outbox (${columns.join(', ')}) VALUES (${places.join(', ')})`,
      Object.values(row ?? {}),
    );
    await untilWaiting(alpha, (rows) => rows.length === 0);
    await expectDelivered(alice, bob, [id]);
    expect(await frameCount(beta, 'mmm_Inbound')).toBe(before);
  },
  testMs,
);
