import { makeEnvelope, openEnvelope, redactEnvelope, withoutContainerInfo } from '@meshd/dare/envelope';
import { recipientsObject } from '@meshd/dare/manifest';
import { messageBytesMax, postDeliveriesMax, postMessagesMax } from '@meshd/limits/limits';
import { laneOfRecipient } from '@meshd/schema/address';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sitePolicyDefault } from '../message/site-policy.js';
import { PostRates } from '../outbox/post-rates.js';
import { type MessageDraft, OutboxShard, type Sender } from '../testing/outbox-kit.js';
import { selfEntry, testKey } from '../testing/person.js';
import { describeDeliveries } from './describe-deliveries.js';
import { type PostResult, post } from './post.js';

const bob = 'bob@beta.test';
const carol = 'carol@example.com';

let shard: OutboxShard;
let alice: Sender;

beforeEach(async () => {
  shard = await OutboxShard.open();
  alice = await shard.person('alice');
});

afterEach(() => shard.close());

/** Posts one message to Bob and tells what was answered for it. */
async function told(draft: Partial<MessageDraft>, accounts = [bob]): Promise<string[]> {
  return answers(await alice.post({ accounts, messages: [alice.message({ to: [bob], ...draft })] }));
}

function answers(result: PostResult): string[] {
  if ('faults' in result) return result.faults.map(({ code, indexRequest }) => `fault ${code}@${indexRequest}`);
  return result.entries.map(({ code, indexRequest, account }) =>
    `${code ?? 'accept'} ${indexRequest} ${account}`.trim(),
  );
}

const recipientsWaiting = async () => (await shard.rows()).map(({ recipient }) => recipient);

describe('a Post of a device', () => {
  test('[R170] [R277] [R278] files the message and queues it for each recipient, our own alike, and wakes their lanes', async () => {
    const message = alice.message({ to: [bob, carol] });
    const result = await alice.post({ accounts: [bob, carol], messages: [message] });
    expect(result).toEqual({
      status: 201,
      entries: [bob, carol].map((account) => ({ indexRequest: 0, account, code: undefined, indexContainer: 1 })),
    });
    const [frame] = await alice.frames();
    expect(frame?.payload && [...frame.payload]).toEqual([...(message.payload as Uint8Array)]);
    expect(await shard.rows()).toMatchObject([
      { sender: 'alice@example.com', recipient: bob, attempts: 0 },
      { sender: 'alice@example.com', recipient: carol, attempts: 0 },
    ]);
    const lanes = [bob, carol].map((name) => ({ domain: name.split('@')[1], lane: laneOfRecipient(name), dueMs: 0 }));
    await expect.poll(() => shard.woken).toEqual(lanes);
  });

  test('[R171] [R309] a worker gets it as the device sent it, with its digest', async () => {
    const message = alice.message({ to: [bob] });
    await alice.post({ accounts: [bob], messages: [message] });
    const { rows } = await shard.lease('beta.test', laneOfRecipient(bob));
    const sent = openEnvelope(withoutContainerInfo(rows[0]?.frame ?? message));
    const { header, payload, signatures, contentMetaDataOctets } = openEnvelope(message);
    expect(sent).toMatchObject({ header, payload, signatures, contentMetaDataOctets });
    expect(sent.payloadDigest).toHaveLength(64);
  });

  test('answers by message, then account, then Self, and takes what is right beside what is wrong', async () => {
    const messages = [
      alice.message({ to: [bob, carol] }),
      alice.message({ to: [bob], signer: testKey('mallory') }),
      alice.message({ to: [bob] }),
    ];
    const self = [selfEntry(alice.person.accountUdf, alice.device.signature, { uniqueId: 's1', type: 'RequestTask' })];
    const result = await alice.post({ accounts: [bob, carol], messages, self });
    expect(answers(result)).toEqual([
      ...[`accept 0 ${bob}`, `accept 0 ${carol}`, `manifest 1 ${bob}`, `manifest 1 ${carol}`],
      ...[`accept 2 ${bob}`, `manifest 2 ${carol}`, 'accept 3'],
    ]);
    expect(await recipientsWaiting()).toEqual([bob, carol, bob]);
    expect(await alice.frames()).toHaveLength(2);
  });

  test('[R281] Self alone needs no Accounts', async () => {
    const self = [selfEntry(alice.person.accountUdf, alice.device.signature, { uniqueId: 's1', type: 'RequestTask' })];
    expect(answers(await alice.post({ self }))).toEqual(['accept 0']);
  });

  test('a Self entry at fault leaves nothing of the request', async () => {
    const self = [selfEntry(alice.person.accountUdf, testKey('mallory'), { uniqueId: 's1', type: 'RequestTask' })];
    const result = await alice.post({ accounts: [bob], messages: [alice.message({ to: [bob] })], self });
    expect(answers(result)).toEqual(['fault not-authorised@1']);
    expect([await shard.rows(), await alice.frames()]).toEqual([[], []]);
  });
});

describe('a message is rejected', () => {
  test('[S71] for a recipient whom the signature does not name', async () => {
    expect(await told({ to: [bob] }, [carol])).toEqual([`manifest 0 ${carol}`]);
  });

  test('[S71] in the name of another account', async () => {
    const eve = await shard.person('eve');
    const messages = [eve.message({ to: [bob] })];
    expect(answers(await alice.post({ accounts: [bob], messages }))).toEqual([`not-authorised 0 ${bob}`]);
    expect(await told({ manifest: { subject: 'eve@example.com' } })).toEqual([`object-signature 0 ${bob}`]);
  });

  test('[S41] under a manifest of another kind, of another time, or without one', async () => {
    expect(await told({ manifest: { kind: 3, object: recipientsObject([bob]) as never } })).toEqual([
      `manifest 0 ${bob}`,
    ]);
    expect(await told({ manifest: { createdMs: shard.nowMs - 8 * 86_400_000 } })).toEqual([`manifest 0 ${bob}`]);
    expect(await told({ entry: { Manifest: undefined } as never })).toEqual([`manifest 0 ${bob}`]);
  });

  test('[R164] [S24] signed by a device that is not listed', async () => {
    const second = alice.person.device('second');
    const by = (device: typeof second) => ({ signer: device.signature, entry: { Connection: device.connection } });
    expect(await told(by(second))).toEqual([`not-authorised 0 ${bob}`]);
  });

  test('[S01] that only a service makes, and a mark that hides what it says', async () => {
    expect(await told({ type: 'AcknowledgeConnection' })).toEqual([`event-rule 0 ${bob}`]);
    expect(await told({ type: 'MessageComplete' })).toEqual([`event-rule 0 ${bob}`]);
  });

  test('with the UniqueID of another', async () => {
    expect(await told({ uniqueId: 'one' })).toEqual([`accept 0 ${bob}`]);
    expect(await told({ uniqueId: 'one' })).toEqual([`event-rule 0 ${bob}`]);
    const messages = [alice.message({ to: [bob], uniqueId: 'two' }), alice.message({ to: [bob], uniqueId: 'two' })];
    expect(answers(await alice.post({ accounts: [bob], messages }))).toEqual([
      `accept 0 ${bob}`,
      `event-rule 1 ${bob}`,
    ]);
  });

  test('that does not fit the quota', async () => {
    await alice.shard.context.store.transactAccount(alice.person.address, async (transactor) => {
      const state = transactor.state;
      if (state === undefined) throw new Error('no account');
      await transactor.commit({ replace: { ...state, quota: { bytesMax: state.bytesUsed + 100, framesMax: 1000 } } });
    });
    expect(await told({})).toEqual([`quota 0 ${bob}`]);
    expect(await alice.frames()).toEqual([]);
  });

  test('[R006] [R025] to a domain, or of a type, that the operator excludes, and stands beside those that are taken', async () => {
    const site = { ...sitePolicyDefault, blockedDomains: new Set(['evil.test']), blockedTypes: new Set(['Note']) };
    const to = [bob, 'eve@evil.test'];
    const answered = await post(
      { ...shard.context, site },
      {
        ...{ principal: alice.device.principal, identity: shard.identity(), accounts: to, self: [] },
        messages: [alice.message({ to }), alice.message({ to, type: 'Note' })],
      },
    );
    expect(answers(answered)).toEqual([
      ...[`accept 0 ${bob}`, 'policy 0 eve@evil.test'],
      ...[`policy 1 ${bob}`, 'policy 1 eve@evil.test'],
    ]);
    expect(await recipientsWaiting()).toEqual([bob]);
  });

  test('whose octets are not those of its digest', async () => {
    const { header, payload, trailer } = openEnvelope(alice.message({ to: [bob] }));
    const broken = makeEnvelope({ header, payload, trailer: { ...trailer, PayloadDigest: new Uint8Array(64) } });
    expect(answers(await alice.post({ accounts: [bob], messages: [broken] }))).toEqual([`payload-digest 0 ${bob}`]);
  });
});

describe('the whole Post is refused', () => {
  const refusal = (more: Parameters<Sender['post']>[0]) => expect(alice.post(more)).rejects;

  test('[R280] when a message, or all of them, are too large', async () => {
    const large = alice.message({ to: [bob], payload: new Uint8Array(messageBytesMax) });
    await refusal({ accounts: [bob], messages: [alice.message({ to: [bob] }), large] }).toMatchObject({
      code: 'too-large',
    });
    const messages = Array.from({ length: postMessagesMax + 1 }, () => large);
    await refusal({ accounts: [bob], messages }).toMatchObject({ code: 'too-large' });
    const accounts = Array.from({ length: postDeliveriesMax / 2 + 1 }, (_, at) => `user${at}@beta.test`);
    await refusal({ accounts, messages: [large, large] }).toMatchObject({ code: 'too-large' });
    expect(await shard.rows()).toEqual([]);
  });

  test('when it names nobody, nothing, or no address', async () => {
    await refusal({ messages: [alice.message({ to: [bob] })] }).toMatchObject({ code: 'malformed' });
    await refusal({ accounts: [bob] }).toMatchObject({ code: 'malformed' });
    await refusal({ accounts: [bob, 'BOB@beta.test'], messages: [alice.message({ to: [bob] })] }).toMatchObject({
      code: 'malformed',
    });
    await refusal({ accounts: ['bob'], messages: [alice.message({ to: [bob] })] }).toMatchObject({ code: 'malformed' });
  });

  test('[S24] from a device that nobody knows', async () => {
    const stranger = alice.person.device('stranger');
    await refusal({ principal: stranger.principal, accounts: [bob], messages: [] as never, self: [] }).toMatchObject({
      code: 'malformed',
    });
    const messages = [alice.message({ to: [bob] })];
    await refusal({ principal: stranger.principal, accounts: [bob], messages }).toMatchObject({
      code: 'not-authenticated',
    });
  });

  test('over the rate, with the time to wait; each recipient counts', async () => {
    const context = { ...shard.context, postRates: new PostRates(3) };
    const send = (...to: string[]) =>
      post(context, {
        ...{ principal: alice.device.principal, identity: shard.identity(), accounts: to, self: [] },
        messages: [alice.message({ to })],
      });
    await send(bob, carol);
    await expect(send(bob, carol)).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 20 * 60_000 });
    expect(await shard.rows()).toHaveLength(2);
    shard.nowMs += 20 * 60_000;
    expect(await send(bob, carol)).toMatchObject({ status: 201 });
  });
});

describe('a Post that comes again', () => {
  test('[S27] under its ID gets the first answer and changes nothing', async () => {
    const request = { identity: shard.identity(), accounts: [bob], messages: [alice.message({ to: [bob] })] };
    const first = await alice.post(request);
    expect(await alice.post(request)).toEqual(JSON.parse(JSON.stringify(first)));
    expect([(await shard.rows()).length, (await alice.frames()).length]).toEqual([1, 1]);
  });

  test('[S73] under another ID is the same frame, and the same row while it waits', async () => {
    const messages = [alice.message({ to: [bob] })];
    await alice.post({ accounts: [bob], messages });
    const again = await alice.post({ accounts: [bob], messages });
    expect(again).toMatchObject({ entries: [{ account: bob, indexContainer: 1 }] });
    expect([(await shard.rows()).length, (await alice.frames()).length]).toEqual([1, 1]);
  });
});

describe('offered messages', () => {
  test('[R279] are answered with what may be sent, and leave nothing behind', async () => {
    const offered = redactEnvelope(alice.message({ to: [bob] }));
    const result = await alice.post({ accounts: [bob, carol], messages: [offered] });
    expect(result).toMatchObject({
      status: 300,
      constraints: { bytesMax: messageBytesMax },
      entries: [
        { account: bob, code: undefined, constraints: { bytesMax: messageBytesMax } },
        { account: carol, code: 'manifest', constraints: undefined },
      ],
    });
    expect([await shard.rows(), await alice.frames()]).toEqual([[], []]);
  });
});

describe('where messages are', () => {
  const describeAll = (...messages: string[]) =>
    describeDeliveries(shard.context, { principal: alice.device.principal, messages });

  test('is told of those that have not ended, with attempts, next attempt and reason', async () => {
    const draft = { to: [bob], uniqueId: 'one' };
    await alice.post({ accounts: [bob], messages: [alice.message(draft)] });
    const waiting = { message: 'one', account: bob, expiresMs: shard.nowMs + 48 * 3_600_000 };
    expect(await describeAll('one', 'two')).toEqual([
      { ...waiting, attempts: 0, nextAttemptMs: undefined, reason: '' },
    ]);
    const lane = laneOfRecipient(bob);
    const { rows } = await shard.lease('beta.test', lane);
    const outlook = await shard.settle('beta.test', lane, {
      rows: rows.map(({ id }) => ({ id, outcome: { kind: 'failed', reason: 'timeout' } })),
      destination: { reached: false, failure: 'timeout', retryAfterMs: undefined },
    });
    expect(await describeAll('one')).toEqual([
      { ...waiting, attempts: 1, nextAttemptMs: outlook.nextAttemptMs, reason: 'timeout' },
    ]);
  });

  test('is told to devices of the account alone', async () => {
    const stranger = alice.person.device('stranger').principal;
    await expect(describeDeliveries(shard.context, { principal: stranger, messages: ['one'] })).rejects.toMatchObject({
      code: 'not-authenticated',
    });
  });
});
