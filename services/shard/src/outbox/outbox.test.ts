import { messageMsMax, outboundTransactionMsMax, outboxLeaseMs } from '@meshd/limits/limits';
import { laneOfRecipient } from '@meshd/schema/address';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LeasedRow } from '../storage/outbox-store.js';
import { anyReceipt, each, OutboxShard, type Sender } from '../testing/outbox-kit.js';
import { deleteAccount } from '../transactions/delete-account.js';
import { expireMessages, startExpiry } from './expiry.js';
import { listWork } from './list-work.js';
import { changeDestination, listDestinations, listWaiting } from './operate.js';
import { peerSpoke } from './peer-spoke.js';

const domain = 'beta.test';
const bob = `bob@${domain}`;
const lane = laneOfRecipient(bob);
/** Another recipient of the same lane, and one of another. */
const names = Array.from({ length: 200 }, (_, at) => `user${at}@${domain}`);
const neighbour = names.find((name) => laneOfRecipient(name) === lane) as string;
const stranger = names.find((name) => laneOfRecipient(name) !== lane) as string;
const failed = { reached: false, failure: 'timeout', retryAfterMs: undefined };
const reached = { reached: true, failure: '', retryAfterMs: undefined };

let shard: OutboxShard;
let alice: Sender;

beforeEach(async () => {
  shard = await OutboxShard.open();
  alice = await shard.person('alice');
});

afterEach(() => shard.close());

const recipients = (rows: readonly LeasedRow[]) => rows.map(({ recipient }) => recipient);
const told = async () => (await alice.marks()).map(({ Account, Relationship }) => `${Relationship} ${Account}`);

/** Fails once, so that the destination rests. */
async function failOnce(failure = 'timeout'): Promise<number> {
  const { rows } = await shard.lease(domain, lane);
  const reason = { kind: 'failed', reason: failure } as const;
  const outlook = await shard.settle(domain, lane, { rows: each(rows, reason), destination: { ...failed, failure } });
  return outlook.nextAttemptMs as number;
}

describe('leases', () => {
  test('give the oldest messages as they were sent, within the bounds, and say whether there are more', async () => {
    for (const to of [bob, neighbour, bob]) await alice.send(to);
    const first = await shard.lease(domain, lane, { rowsMax: 2 });
    expect(recipients(first.rows)).toEqual([bob, neighbour]);
    expect(first).toMatchObject({ more: true, nextAttemptMs: undefined });
    await shard.settle(domain, lane, { rows: each(first.rows, { kind: 'released' }) });
    expect(recipients((await shard.lease(domain, lane, { bytesMax: 1 })).rows)).toEqual([bob]);
    expect(await shard.lease(domain, 15 - lane)).toMatchObject({ rows: [], more: false, nextAttemptMs: undefined });
  });

  test('two workers on one lane: the second gets nothing until the first is done or its lease ends', async () => {
    await alice.send(bob);
    await alice.send(neighbour);
    await shard.lease(domain, lane, { owner: 'one', rowsMax: 1 });
    const second = await shard.lease(domain, lane, { owner: 'two' });
    expect(second).toMatchObject({ rows: [], more: false, nextAttemptMs: shard.nowMs + outboxLeaseMs });
    shard.nowMs += outboxLeaseMs;
    expect(recipients((await shard.lease(domain, lane, { owner: 'two' })).rows)).toEqual([bob, neighbour]);
  });

  test('the same worker gets no message behind another of its recipient that is on its way', async () => {
    for (const to of [bob, bob, neighbour]) await alice.send(to);
    await shard.lease(domain, lane, { rowsMax: 1 });
    expect(recipients((await shard.lease(domain, lane)).rows)).toEqual([neighbour]);
    expect(await shard.lease(domain, lane)).toMatchObject({
      rows: [],
      more: false,
      nextAttemptMs: shard.nowMs + outboxLeaseMs,
    });
  });

  test('survive nothing but the worker: after a restart rows are leased until their time, and are given again', async () => {
    await alice.send(bob);
    await shard.lease(domain, lane, { owner: 'dead' });
    await shard.restart();
    expect((await shard.lease(domain, lane, { owner: 'new' })).rows).toEqual([]);
    shard.nowMs += outboxLeaseMs;
    expect((await shard.lease(domain, lane, { owner: 'new' })).rows).toHaveLength(1);
  });

  test('give a message as it was committed, and none that is read back as another', async () => {
    await alice.send(bob);
    await shard.database.query('ALTER TABLE frame DISABLE TRIGGER frame_never_changes');
    await shard.database.query("UPDATE frame SET payload = 'other' WHERE payload IS NOT NULL");
    const { rows } = await shard.lease(domain, lane);
    expect(rows.map(({ frame }) => Buffer.from(frame.payload as Uint8Array).toString())).not.toContain('other');
    await shard.settle(domain, lane, { rows: each(rows, { kind: 'released' }) });
    await expect(shard.lease(domain, lane)).rejects.toMatchObject({ code: 'damaged' });
  });
});

describe('settling', () => {
  test('[S81] what was delivered or refused ends with a mark for the sender, in the commit that deletes the row', async () => {
    for (const to of [bob, bob, neighbour]) await alice.send(to);
    const { rows } = await shard.lease(domain, lane);
    const [first, second, third] = rows.map(({ id }) => id) as [number, number, number];
    const outlook = await shard.settle(domain, lane, {
      rows: [
        { id: first, outcome: { kind: 'delivered', receipt: anyReceipt() } },
        { id: second, outcome: { kind: 'delivered', receipt: undefined } },
        { id: third, outcome: { kind: 'refused', statusExtended: 5 } },
      ],
      destination: reached,
    });
    expect(outlook).toEqual({ more: false, nextAttemptMs: undefined });
    expect(await shard.rows()).toEqual([]);
    expect(await alice.marks()).toMatchObject([
      { Relationship: 'Received', Account: bob, Receipt: { header: expect.anything() } },
      { Relationship: 'Sent', Account: bob },
      { Relationship: 'Reject', Account: neighbour, StatusExtended: 5 },
    ]);
    expect((await alice.marks()).map(({ MessageID }) => MessageID)).toEqual(rows.map(({ messageId }) => messageId));
  });

  test('many recipients of one sender share marks, none larger than a message may be', async () => {
    for (let at = 0; at < 13; at += 1) await alice.send(bob);
    const { rows } = await shard.lease(domain, lane);
    await shard.settle(domain, lane, { rows: each(rows, { kind: 'delivered', receipt: anyReceipt() }) });
    expect(await alice.marks()).toHaveLength(13);
    expect(await alice.frames()).toHaveLength(13 + 2);
  });

  test('told twice, or after the lease has ended, a delivery is one mark', async () => {
    await alice.send(bob);
    const { rows } = await shard.lease(domain, lane, { owner: 'slow' });
    shard.nowMs += outboxLeaseMs;
    const again = await shard.lease(domain, lane, { owner: 'quick' });
    const delivered = { kind: 'delivered', receipt: undefined } as const;
    await shard.settle(domain, lane, { owner: 'slow', rows: each(rows, delivered) });
    await shard.settle(domain, lane, { owner: 'quick', rows: each(again.rows, delivered) });
    expect(await told()).toEqual([`Sent ${bob}`]);
  });

  test('a failure is charged, a release is not, and only the holder of the lease can give back', async () => {
    await alice.send(bob);
    const { rows } = await shard.lease(domain, lane);
    const failure = each(rows, { kind: 'failed', reason: 'timeout' });
    await shard.settle(domain, lane, { owner: 'other', rows: failure });
    expect(await shard.rows()).toMatchObject([{ attempts: 0, lease_owner: 'worker' }]);
    await shard.settle(domain, lane, { rows: each(rows, { kind: 'released' }) });
    expect(await shard.rows()).toMatchObject([{ attempts: 0, lease_owner: null }]);
    await shard.lease(domain, lane);
    await shard.settle(domain, lane, { rows: failure });
    expect(await shard.rows()).toMatchObject([{ attempts: 1, lease_owner: null }]);
  });

  test('rows of another destination are not ended', async () => {
    await alice.send(bob);
    const { rows } = await shard.lease(domain, lane);
    await shard.settle('other.test', lane, { rows: each(rows, { kind: 'refused', statusExtended: 0 }) });
    expect(await shard.rows()).toHaveLength(1);
  });

  test('nobody is told for a deleted account, and the row goes', async () => {
    await alice.send(bob);
    const { rows } = await shard.lease(domain, lane);
    const { person, device } = alice;
    const signers = [{ key: device.authentication, connection: device.connection }, { key: person.admin }];
    const request = await person.request('DeleteAccount', { Account: person.address }, signers, shard.nowMs);
    await deleteAccount(shard.context, person.address, request);
    await shard.settle(domain, lane, { rows: each(rows, { kind: 'delivered', receipt: undefined }) });
    expect(await shard.rows()).toEqual([]);
  });
});

describe('a destination that fails', () => {
  test('rests, remembers it over a restart, and is tried by one lane at a time', async () => {
    await alice.send(bob);
    await alice.send(stranger);
    const other = laneOfRecipient(stranger);
    const nextAttemptMs = await failOnce();
    expect(nextAttemptMs).toBeGreaterThan(shard.nowMs);
    await shard.restart();
    expect(await shard.lease(domain, other)).toMatchObject({ rows: [], nextAttemptMs });
    shard.nowMs = nextAttemptMs;
    expect((await shard.lease(domain, lane)).rows).toHaveLength(1);
    const waiting = await shard.lease(domain, other);
    expect(waiting).toMatchObject({ rows: [], nextAttemptMs: shard.nowMs + 2 * outboundTransactionMsMax });
  });

  test('and answers again wakes all its lanes', async () => {
    await alice.send(bob);
    await alice.send(stranger);
    shard.nowMs = await failOnce();
    const { rows } = await shard.lease(domain, lane);
    shard.woken.length = 0;
    await shard.settle(domain, lane, {
      rows: each(rows, { kind: 'delivered', receipt: undefined }),
      destination: reached,
    });
    expect(shard.woken).toEqual([{ domain, lane: laneOfRecipient(stranger), dueMs: 0 }]);
    expect((await shard.lease(domain, laneOfRecipient(stranger))).rows).toHaveLength(1);
  });

  test('is tried at once when it spoke, but not within the shortest rest', async () => {
    await alice.send(bob);
    shard.nowMs = await failOnce();
    const nextAttemptMs = await failOnce();
    shard.woken.length = 0;
    await peerSpoke(shard.context, domain);
    expect(await shard.lease(domain, lane)).toMatchObject({ rows: [], nextAttemptMs });
    shard.nowMs += 5000;
    await peerSpoke(shard.context, domain);
    expect(shard.woken).toEqual([{ domain, lane, dueMs: 0 }]);
    expect((await shard.lease(domain, lane)).rows).toHaveLength(1);
  });

  test('costs a new message no wake-up before its time', async () => {
    await alice.send(bob);
    const dueMs = await failOnce();
    shard.woken.length = 0;
    await alice.send(bob);
    await expect.poll(() => shard.woken).toEqual([{ domain, lane, dueMs }]);
  });
});

describe('expiry', () => {
  test.each(['waiting', 'resting', 'held', 'leased long ago'])(
    'ends a message that is %s, and tells',
    async (queue) => {
      await alice.send(bob);
      if (queue === 'resting') await failOnce();
      if (queue === 'held') await changeDestination(shard.context, 'hold', { domain });
      if (queue === 'leased long ago') await shard.lease(domain, lane);
      shard.nowMs += messageMsMax - 1;
      expect(await expireMessages(shard.context)).toBe(0);
      shard.nowMs += 1;
      expect((await shard.lease(domain, lane, { owner: 'late' })).rows).toEqual([]);
      expect(await expireMessages(shard.context)).toBe(1);
      expect(await told()).toEqual([`Expired ${bob}`]);
      expect(await shard.rows()).toEqual([]);
    },
  );

  test.each([
    ['[S75] a service that can no longer prove what it says', 'feature-missing', 26],
    ['a service that did not come to know ours', 'service-unverified', 22],
    ['a service that was not reached', 'timeout', undefined],
  ])(
    'tells why it waited for %s, also where the destination rested when the message came',
    async (_, failure, code) => {
      await alice.send(bob);
      await failOnce(failure);
      await alice.send(bob);
      shard.nowMs += messageMsMax;
      expect(await expireMessages(shard.context)).toBe(2);
      expect((await alice.marks()).map(({ StatusExtended }) => StatusExtended)).toEqual([code, code]);
    },
  );

  test('is looked for as soon as the shard runs: time went on without it', async () => {
    await alice.send(bob);
    shard.nowMs += messageMsMax;
    const onError = (error: unknown): void => expect.fail(String(error));
    let stop: () => Promise<void> = async () => {};
    const count = await new Promise<number>((resolve) => {
      stop = startExpiry(shard.context, { onExpired: resolve, onError });
    });
    await stop();
    expect(count).toBe(1);
  });

  test('leaves to its worker what is on its way', async () => {
    await alice.send(bob);
    shard.nowMs += messageMsMax - 1;
    const { rows } = await shard.lease(domain, lane);
    shard.nowMs += 1;
    expect(await expireMessages(shard.context)).toBe(0);
    await shard.settle(domain, lane, { rows: each(rows, { kind: 'delivered', receipt: undefined }) });
    expect(await told()).toEqual([`Sent ${bob}`]);
  });
});

describe('work', () => {
  test('is listed lane by lane, in pages, without what is held', async () => {
    for (const to of [bob, bob, stranger, 'carol@gamma.test', 'dora@held.test']) await alice.send(to);
    await changeDestination(shard.context, 'hold', { domain: 'held.test' });
    const lanes = [];
    for (let after = { domain: '', lane: 0 }, more = true; more; ) {
      const page = await listWork(shard.context, after, 1);
      lanes.push(...page.lanes);
      more = page.more;
      after = page.lanes.at(-1) ?? after;
    }
    const ofBeta = [lane, laneOfRecipient(stranger)].sort((a, b) => a - b);
    expect(lanes).toEqual([
      ...ofBeta.map((each) => ({ domain, lane: each, dueMs: 0 })),
      { domain: 'gamma.test', lane: laneOfRecipient('carol@gamma.test'), dueMs: 0 },
    ]);
  });
});

describe('operators', () => {
  test('see destinations with the ages of what waits', async () => {
    await alice.send(bob);
    shard.nowMs += 2 * 60_000;
    await alice.send(neighbour);
    await failOnce();
    const { destinations, more } = await listDestinations(shard.context, { after: '', max: 10 });
    expect(more).toBe(false);
    expect(destinations).toMatchObject([
      {
        domain,
        word: 'resting',
        rows: 2,
        leased: 0,
        oldestQueuedMs: shard.nowMs - 120_000,
        rowsByAge: [1, 1, 0, 0, 0, 0],
      },
    ]);
  });

  test('see single messages, page by page in the order in which they were queued, those on their way marked', async () => {
    const recipients = [bob, neighbour, stranger, bob];
    for (const recipient of recipients) await alice.send(recipient);
    await alice.send('carol@gamma.test');
    await shard.lease(domain, lane, { rowsMax: 1 });
    const seen = [];
    for (let afterId = 0, more = true; more; ) {
      const page = await listWaiting(shard.context, domain, afterId, 3);
      expect(page.messages.length).toBeLessThanOrEqual(3);
      seen.push(...page.messages);
      more = page.more;
      afterId = page.messages.at(-1)?.id ?? afterId;
    }
    expect(seen.map(({ recipient }) => recipient)).toEqual(recipients);
    expect(seen.map(({ leased }) => leased)).toEqual([true, false, false, false]);
    expect(seen[0]).toMatchObject({ sender: alice.person.address, attempts: 0, lastFailure: '' });
    expect((await listWaiting(shard.context, domain, 0, 0)).messages).toHaveLength(1);
    expect(await listWaiting(shard.context, 'delta.test', 0, 10)).toEqual({ messages: [], more: false });
  });

  test('hold and release', async () => {
    await alice.send(bob);
    expect(await changeDestination(shard.context, 'hold', { domain })).toBe(1);
    await shard.restart();
    expect(await shard.lease(domain, lane)).toEqual({ rows: [], more: false, nextAttemptMs: undefined });
    shard.woken.length = 0;
    await changeDestination(shard.context, 'release', 'all');
    expect(shard.woken).toEqual([{ domain, lane, dueMs: 0 }]);
    expect((await shard.lease(domain, lane)).rows).toHaveLength(1);
  });

  test('let a resting destination be tried now', async () => {
    await alice.send(bob);
    await failOnce();
    await changeDestination(shard.context, 'retry', { domain });
    expect((await shard.lease(domain, lane)).rows).toHaveLength(1);
  });

  test('drop messages, whose senders are told', async () => {
    await alice.send(bob);
    await alice.send('carol@gamma.test');
    expect(await changeDestination(shard.context, 'drop', { domain })).toBe(1);
    expect(await told()).toEqual([`Reject ${bob}`]);
    expect(await shard.rows()).toMatchObject([{ recipient: 'carol@gamma.test' }]);
  });

  test('can do nothing else', async () => {
    await expect(changeDestination(shard.context, 'burn', { domain })).rejects.toMatchObject({ code: 'malformed' });
  });
});
