import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { contactRequestsPerDomainPerDayMax, messageSeenMs } from '@meshd/limits/limits';
import { beforeEach, describe, expect, it } from 'vitest';
import { sitePolicyDefault } from '../message/site-policy.js';
import { messageOf } from '../testing/outbox-kit.js';
import { entry, opening, Person, type TestDevice, TestWriter, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { deleteAccount } from './delete-account.js';
import { type DeliverRequest, type DeliveryResult, deliver } from './deliver.js';

/** Alice is at another provider, Bob has an account here. */
const alice = new Person('alice', { address: 'alice@alpha.test' });
const phone = alice.device();
let shard: TestShard;
let bob: Person;
let laptop: TestDevice;

beforeEach(async () => {
  shard = await new TestShard().start();
  bob = new Person('bob');
  laptop = bob.device();
  await shard.join(bob, laptop);
});

function message(more: Partial<Parameters<typeof messageOf>[3]> = {}, from = alice, device = phone): EnvelopeOctets {
  return messageOf(from, device, shard.nowMs, { to: [bob.address], ...more });
}

async function send(
  octets: EnvelopeOctets,
  more: Partial<DeliverRequest> & { readonly to?: readonly string[] } = {},
): Promise<DeliveryResult> {
  const { to = [bob.address], ...rest } = more;
  const request = { senderDomain: 'alpha.test', hostUdf: 'HOST', identity: shard.identity(), receipts: true, ...rest };
  const messages = [{ indexRequest: 1, octets, recipients: to }];
  const [result] = await deliver(shard.context, { ...request, messages });
  return result as DeliveryResult;
}

/** Bob says what a person may send. */
async function allow(values: Readonly<Record<string, string>>, event = 'New', uniqueId = 'contact-1'): Promise<void> {
  const writer = writers.get(shard) ?? new TestWriter('mmm_Contact', bob.accountUdf, laptop.signature);
  const isFirst = !writers.has(shard);
  writers.set(shard, writer);
  const KeyValues = Object.entries(values).map(([Key, Value]) => ({ Key, Value }));
  // Entries of one key follow each other.
  const links = event === 'New' ? {} : { First: 1, Previous: writer.trees.log.frameCount - 1 };
  const frames = [...(isFirst ? [opening()] : []), entry({ UniqueID: uniqueId, Event: event, KeyValues, ...links })];
  const result = await shard.upload(laptop, [{ container: 'mmm_Contact', envelopes: writer.write(frames).envelopes }]);
  if ('faults' in result) throw new Error(result.faults[0]?.detail);
}
const writers = new WeakMap<TestShard, TestWriter>();

/** Kinds of the incidents that were recorded, in order. */
const incidentKinds = () =>
  shard.store
    .framesOf('@service', 'mmm_Incident')
    .slice(1)
    .map(({ payload }) => JSON.parse(Buffer.from(payload ?? []).toString()).IncidentReport.Kind);
const inbound = () => shard.store.framesOf(bob.address, 'mmm_Inbound').length - 1;
const incidents = () => shard.store.framesOf('@service', 'mmm_Incident').length;

describe('[R027] [S80] a recipient who has moved', () => {
  const leave = async () => {
    const signers = [{ key: laptop.authentication, connection: laptop.connection }, { key: bob.admin }];
    const asked = { Account: bob.address, MovedTo: 'bob@beta.test' };
    await deleteAccount(shard.context, bob.address, await bob.request('DeleteAccount', asked, signers, shard.nowMs));
  };

  it('is told to those whom he knows, and whose messages would have been filed', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    await leave();
    const result = await send(message());
    expect([result.result, result.code, inbound()]).toEqual(['Reject', 'account-moved', 0]);
  });

  it('is a name that nobody has to everybody else', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '-' });
    const request = { type: 'RequestContact' };
    const told = async (to?: readonly string[]) => {
      const options = { ...request, ...(to === undefined ? {} : { to: [...to] }) };
      const { result, code } = await send(message(options), to === undefined ? {} : { to });
      return [result, code];
    };
    await leave();
    expect(await told()).toEqual(await told(['nobody@example.com']));
    expect(inbound()).toBe(0);
    const other = await send(message());
    expect([other.result, other.code]).toEqual(['Reject', 'policy']);
  });
});

describe('a message that comes in', () => {
  it('[R180] is filed octet for octet where its sender may write, and answered with a receipt', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    const sent = message();
    const result = await send(sent);
    expect(result.result).toBe('Accept');
    const [, filed] = shard.store.framesOf(bob.address, 'mmm_Inbound');
    expect(filed?.payload).toEqual(sent.payload);
    const receipt = openEnvelope(result.receipt as EnvelopeOctets);
    const key = shard.host.signingKey.publicKey;
    await expect(verifyEnvelope(receipt, (kid) => (kid === key.udf ? key : undefined))).resolves.toBeDefined();
  });

  it('[S62] [S80] is answered alike under the account’s key and under one that it has given up', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    const told = async (reader: string, from: Person, device: TestDevice) => {
      const draft = { readers: [testKey(reader).publicKey.udf] };
      const { receipt, ...answer } = await send(message(draft, from, device));
      return [answer, receipt !== undefined, inbound()];
    };
    const [current, former] = [await told('newer', alice, phone), await told('former', alice, phone)];
    expect(current).toEqual([expect.objectContaining({ result: 'Accept' }), true, 1]);
    expect(former).toEqual([current[0], true, 2]);
    const mallory = new Person('mallory', { address: 'mallory@alpha.test' });
    const refused = await told('newer', mallory, mallory.device());
    expect(refused).toMatchObject([{ result: 'Reject' }, false, 2]);
    expect(await told('former', mallory, mallory.device())).toEqual(refused);
  });

  it('[S73] is filed once: under a fresh request, and again after a week; its receipt is the first one', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const sent = message();
    const first = await send(sent);
    shard.nowMs += 6 * 86_400_000;
    const again = await send(sent);
    expect([again.result, inbound()]).toEqual(['Accept', 1]);
    expect(again.receipt).toEqual(first.receipt);
  });

  it('[S73] is too old before it is forgotten', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const sent = message();
    await send(sent);
    shard.nowMs += messageSeenMs;
    expect(await send(sent)).toMatchObject({ result: 'Reject', code: 'manifest' });
    expect(inbound()).toBe(1);
  });

  it('[S73] cannot take the place of another one of its name', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    await send(message({ uniqueId: 'NAME' }));
    expect(await send(message({ uniqueId: 'NAME' }))).toMatchObject({ result: 'Reject', code: 'event-rule' });
    expect(inbound()).toBe(1);
  });

  it('[S73] is the same message whatever else it is called: its carrier cannot give it another UniqueID', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const sent = message({ uniqueId: 'ONE' });
    await send(sent);
    const { header, payload, trailer } = openEnvelope(sent);
    const ContentMetaData = Buffer.from(
      Buffer.from(header.ContentMetaData as Uint8Array)
        .toString()
        .replace('"ONE"', '"TWO"'),
    );
    const renamed = makeEnvelope({ header: { ...header, ContentMetaData }, payload, trailer: trailer ?? {} });
    expect(await send(renamed)).toMatchObject({ result: 'Reject', code: 'manifest' });
    expect(inbound()).toBe(1);
  });

  it('[S27] under an ID that was used for another request is refused', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const identity = shard.identity();
    await send(message(), { identity });
    const reused = { id: identity.id, payloadDigest: systemRandom(64) };
    await expect(send(message(), { identity: reused })).rejects.toMatchObject({ code: 'request-id-reused' });
    expect(inbound()).toBe(1);
  });
});

describe('several messages of one request', () => {
  const sendAll = (all: readonly EnvelopeOctets[], to: string, identity = shard.identity()) =>
    deliver(shard.context, {
      ...{ senderDomain: 'alpha.test', hostUdf: 'HOST', identity, receipts: true },
      messages: all.map((octets, indexRequest) => ({ indexRequest, octets, recipients: [to] })),
    });
  const results = (all: readonly DeliveryResult[]) =>
    all.map(({ indexRequest, result }) => `${indexRequest} ${result}`);

  it('[S73] are filed in one commit and in order, each judged as if those before it were filed', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const twin = message();
    const all = [twin, message({ uniqueId: 'NAME' }), message({ uniqueId: 'NAME' }), twin, message()];
    const before = shard.store.commitCount;
    const taken = await sendAll(all, bob.address);
    expect(results(taken)).toEqual(['0 Accept', '1 Accept', '2 Reject', '3 Accept', '4 Accept']);
    expect(taken[3]?.receipt).toEqual(taken[0]?.receipt);
    expect([inbound(), shard.store.commitCount - before]).toEqual([3, 1]);
    const filed = shard.store.framesOf(bob.address, 'mmm_Inbound').slice(1);
    expect(filed.map(({ payload }) => payload)).toEqual([all[0], all[1], all[4]].map((each) => each?.payload));
  });

  it('[S73] are answered alike when the same request comes again, also where only some were taken', async () => {
    await allow({ Address: alice.address, Permissions: 'Note' });
    const identity = shard.identity();
    const all = [message({ type: 'Note' }), message({ type: 'Other' })];
    const first = await sendAll(all, bob.address, identity);
    expect(results(first)).toEqual(['0 Accept', '1 Reject']);
    await allow({ Address: alice.address, Permissions: '*' }, 'Update');
    expect(results(await sendAll(all, bob.address, identity))).toEqual(['0 Accept', '1 Accept']);
    expect(results(await sendAll(all, bob.address, identity))).toEqual(['0 Accept', '1 Accept']);
    expect(inbound()).toBe(2);
  });

  it('[S80] cost one commit for a name that nobody has too, and use up as many requests for contact', async () => {
    const requests = () =>
      Array.from({ length: 3 }, () => message({ to: ['nobody@example.com'], type: 'RequestContact' }));
    const { sendingDomains } = shard.context;
    const [left, commits] = [sendingDomains.requestsLeft('alpha.test', shard.nowMs), shard.store.commitCount];
    const before = incidents();
    expect(results(await sendAll(requests(), 'nobody@example.com'))).toEqual(['0 Accept', '1 Accept', '2 Accept']);
    expect(shard.store.commitCount - commits).toBe(1);
    expect(left - sendingDomains.requestsLeft('alpha.test', shard.nowMs)).toBe(3);
    expect(incidents() - before).toBe(3);
  });

  it('[S71] an account that vouched for one device vouches for no other', async () => {
    await allow({ Address: alice.address, Permissions: '*' });
    const mallory = new Person('mallory', { address: 'mallory@alpha.test' });
    const stranger = mallory.device();
    const taken = await sendAll([message(), message({}, alice, stranger), message()], bob.address);
    expect(results(taken)).toEqual(['0 Accept', '1 Reject', '2 Accept']);
  });
});

describe('what a message must prove', () => {
  beforeEach(() => allow({ Address: alice.address, Permissions: '*' }));

  it('[S71] a copy made for one is not filed for another', async () => {
    const result = await send(message({ to: ['carol@example.com'] }));
    expect(result).toMatchObject({ result: 'Reject', code: 'manifest' });
    expect(inbound()).toBe(0);
  });

  it('[S71] the sender is of the domain whose service brings it', async () => {
    expect(await send(message(), { senderDomain: 'evil.test' })).toMatchObject({ result: 'Reject', code: 'manifest' });
  });

  it('[S71] the device is one of the account that the message shows', async () => {
    const mallory = new Person('mallory', { address: 'mallory@alpha.test' });
    const theirs = mallory.device();
    const borrowed = message({ signer: theirs.signature, entry: { Connection: theirs.connection } });
    expect(await send(borrowed)).toMatchObject({ result: 'Reject', code: 'object-signature' });
    const renamed = messageOf(mallory, theirs, shard.nowMs, {
      to: [bob.address],
      manifest: { subject: alice.address },
    });
    expect(await send(renamed)).toMatchObject({ result: 'Reject', code: 'object-signature' });
    expect(inbound()).toBe(0);
  });

  it('[S71] the signature is over this very message', async () => {
    const [one, other] = [message(), message()];
    const trailer = other.trailer as Uint8Array;
    expect(await send({ ...one, trailer })).toMatchObject({ result: 'Reject' });
    const unsigned = { ...one, trailer: Buffer.from('{}') };
    expect(await send(unsigned)).toMatchObject({ result: 'Reject', code: 'manifest' });
    expect(inbound()).toBe(0);
  });
});

describe('whose messages are taken', () => {
  it('[S72] the person whom the user knows, by his key: another account of the same address is refused', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    const impostor = new Person('impostor', { address: alice.address });
    expect(await send(message({}, impostor, impostor.device()))).toMatchObject({ result: 'Reject', code: 'policy' });
    expect((await send(message())).result).toBe('Accept');
  });

  it('[S72] and the operator hears that somebody else uses the name, once, however often it is tried', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    const impostor = new Person('impostor', { address: alice.address });
    const theirs = impostor.device();
    for (const type of ['Note', 'RequestContact'])
      expect((await send(message({ type }, impostor, theirs))).result).toBe('Reject');
    await expect.poll(incidentKinds).toEqual(['identity-changed']);
  });

  it('[S72] by the key that the contact names, whatever profile of it the message shows', async () => {
    await allow({ Address: alice.address, AccountUDF: alice.accountUdf, Permissions: '*' });
    const renewed = new Person('alice', { address: alice.address, updated: new Date('2026-01-01T12:00:00Z') });
    expect((await send(message({}, renewed, renewed.device()))).result).toBe('Accept');
  });

  it('[S71] and the operator hears of a service whose messages prove nothing', async () => {
    await send(message({ signer: testKey('mallory') }));
    await send(message({ signer: testKey('mallory') }));
    // Of our own worker nothing is said: its messages were judged when they were posted.
    await send(message({ signer: testKey('mallory') }), { hostUdf: '', senderDomain: 'beta.test' });
    await expect.poll(incidentKinds).toEqual(['message-unproved']);
  });

  it('[R187] by type, until the entry is gone; a person who is blocked is refused whatever it sends', async () => {
    await allow({ Address: alice.address, Permissions: 'RequestConfirmation' });
    expect((await send(message())).result).toBe('Accept');
    expect((await send(message({ type: 'Note' }))).result).toBe('Reject');
    await allow({ Address: alice.address, Permissions: '-' }, 'Update');
    // To ask is allowed to anybody, and answered alike: what he asks is dropped (S80).
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Accept');
    expect([inbound(), incidentKinds()]).toEqual([1, ['message-dropped']]);
    expect((await send(message())).result).toBe('Reject');
    await allow({}, 'Delete');
    expect((await send(message())).result).toBe('Reject');
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Accept');
  });

  it('[R183] [R187] strangers may ask for contact, as many as their domain may in a day, and nothing else', async () => {
    expect((await send(message())).result).toBe('Reject');
    const domains = shard.context.sendingDomains;
    for (let used = 1; used < contactRequestsPerDomainPerDayMax; used += 1) {
      domains.countRequest('alpha.test', shard.nowMs);
    }
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Accept');
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Reject');
    await expect.poll(incidentKinds).toEqual(['contact-rate']);
    shard.nowMs += 86_400_000;
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Accept');
  });

  it('[R187] the operator blocks a domain, opens to one, or lets what is refused disappear', async () => {
    const site = sitePolicyDefault;
    shard.site = { ...site, openDomains: new Set(['alpha.test']) };
    expect((await send(message())).result).toBe('Accept');
    shard.site = { ...site, blockedDomains: new Set(['alpha.test']), openDomains: new Set(['alpha.test']) };
    expect((await send(message({ type: 'RequestContact' }))).result).toBe('Reject');
    shard.site = { ...site, dropsSilently: true };
    const before = [inbound(), incidents()];
    const dropped = await send(message());
    expect(dropped.result).toBe('Accept');
    expect(dropped.receipt).toBeDefined();
    expect([inbound(), incidents()]).toEqual([before[0], (before[1] as number) + 1]);
  });
});

describe('names that nobody has', () => {
  it('[S80] [S81] are answered like others, receipt included, and remembered like others', async () => {
    const to = ['nobody@example.com'];
    const request = message({ to, type: 'RequestContact' });
    const real = await send(message({ type: 'RequestContact' }));
    const invented = await send(request, { to });
    expect(Object.keys(invented).sort()).toEqual(Object.keys(real).sort());
    expect([invented.result, invented.code, invented.isOffer]).toEqual([real.result, real.code, real.isOffer]);
    const shapeOf = ({ receipt }: DeliveryResult) =>
      Object.keys(JSON.parse(Buffer.from(receipt?.payload ?? []).toString()).DeliveryReceipt);
    expect(shapeOf(invented)).toEqual(shapeOf(real));
    expect(await send(request, { to })).toEqual(invented);
    expect((await send(message({ to }), { to })).result).toBe('Reject');
  });

  it('[S80] cost as many commits as others', async () => {
    const commitsOf = async (to: string, type: string) => {
      const before = shard.store.commitCount;
      await send(message({ to: [to], type }), { to: [to] });
      return shard.store.commitCount - before;
    };
    for (const type of ['RequestContact', 'Note', 'ReplyContact']) {
      expect(await commitsOf('nobody@example.com', type)).toBe(await commitsOf(bob.address, type));
    }
  });
});

describe('offered messages', () => {
  it('[S82] are answered and leave nothing behind; the body that follows is taken though the rate was reached', async () => {
    const whole = message({ type: 'RequestContact' });
    const offered = await send(redactEnvelope(whole));
    expect(offered).toMatchObject({ result: 'Accept', isOffer: true, receipt: undefined });
    expect(inbound()).toBe(0);
    for (let used = 0; used < contactRequestsPerDomainPerDayMax; used += 1) {
      shard.context.sendingDomains.countRequest('alpha.test', shard.nowMs);
    }
    expect((await send(whole)).result).toBe('Accept');
    expect(inbound()).toBe(1);
  });

  it('[S82] need their manifest: one without signature is refused', async () => {
    const whole = message({ type: 'RequestContact' });
    const unsigned = redactEnvelope({ ...whole, trailer: Buffer.from('{}') });
    expect(await send(unsigned)).toMatchObject({ result: 'Reject', code: 'manifest' });
  });

  it('[S82] do not vouch for a body with another digest', async () => {
    const whole = message({ type: 'RequestContact' });
    await send(redactEnvelope(whole));
    const other = { ...whole, payload: systemRandom(64) };
    expect(await send(other)).toMatchObject({ result: 'Reject', code: 'manifest' });
    expect(inbound()).toBe(0);
  });
});
