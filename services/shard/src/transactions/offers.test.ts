/** Offers of connection at an account where devices hail (semantics 7.6, S56): who may leave them, and who is shown which. */
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { offerMs, offersPerDeviceMax } from '@meshd/limits/hailing';
import { contactRequestsPerDomainPerDayMax } from '@meshd/limits/limits';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { MeshError } from '@meshd/schema/status';
import { beforeEach, describe, expect, it } from 'vitest';
import { messageOf } from '../testing/outbox-kit.js';
import { opening, Person, TestWriter, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { complete } from './complete.js';
import { deliver } from './deliver.js';

/** Alice is at another provider; devices of the factory come to its account here. */
const alice = new Person('alice', { address: 'alice@alpha.test' });
const factory = new Person('factory');
const [lamp, kettle] = [factory.device('lamp'), factory.device('kettle')];
let shard: TestShard;

beforeEach(async () => {
  shard = await new TestShard().start();
  const owner = factory.device();
  await shard.join(factory, owner);
  const writer = new TestWriter('mmm_Publication', factory.accountUdf, owner.signature);
  await shard.upload(owner, [{ container: 'mmm_Publication', envelopes: writer.write([opening()]).envelopes }]);
});

function offer(deviceUdf: string | undefined, more: Partial<Parameters<typeof messageOf>[3]> = {}): EnvelopeOctets {
  const body = { ServiceID: alice.address, ...(deviceUdf === undefined ? {} : { DeviceUDF: deviceUdf }) };
  const payload = encodeTagged(OfferConnection, body, 'json');
  const draft = { to: [factory.address], type: 'OfferConnection', payload, enc: 'none', ...more };
  return messageOf(alice, alice.device(), shard.nowMs, draft);
}

async function leave(octets: EnvelopeOctets, to = factory.address): Promise<string> {
  const messages = [{ indexRequest: 1, octets, recipients: [to] }];
  const identity = shard.identity();
  const request = { senderDomain: 'alpha.test', hostUdf: 'HOST', identity, receipts: true, messages };
  const [result] = await deliver(shard.context, request);
  return result?.code ?? (result?.result as string);
}

/** What the device is shown: the status, and the identifier of the offer. */
async function poll(device: typeof lamp, account = factory.address): Promise<string> {
  const key = testKey(`factory ${device.name} base authentication`).publicKey.raw;
  const asking = { account, deviceUdf: device.udf, key };
  try {
    const answer = await complete(shard.context, { device: asking, deviceUdf: device.udf, reveal: undefined });
    const shown = answer.entry === undefined ? '' : openEnvelope(answer.entry).contentMetaData?.UniqueID;
    return `${answer.status} ${shown ?? ''}`.trim();
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  }
}

describe('[S56] an offer', () => {
  it('[R153] of anybody is shown to the device that it is for, and to no other', async () => {
    expect(await poll(lamp)).toBe('300');
    expect(await leave(offer(lamp.udf, { uniqueId: 'OFFER' }))).toBe('Accept');
    expect(await poll(lamp)).toBe('201 OFFER');
    expect(await poll(lamp)).toBe('201 OFFER');
    expect(await poll(kettle)).toBe('300');
  });

  it('that is committed while the device is answered is shown when it comes again', async () => {
    const { store } = shard;
    await leave(offer(lamp.udf, { uniqueId: 'OFFER' }));
    const readAccount = store.readAccount.bind(store);
    // The account as it was known before the commit, the offers as they are after it.
    const before = await readAccount(factory.address, ({ state }) => state);
    await leave(offer(lamp.udf, { uniqueId: 'LATER' }));
    store.readAccount = (address, read) =>
      readAccount(address, (reader) => read(Object.defineProperty(reader, 'state', { get: () => before })));
    expect([await poll(lamp), await poll(lamp)]).toEqual(['201 OFFER', '201 OFFER']);
    store.readAccount = readAccount;
    expect(await poll(lamp)).toBe('201 LATER');
  });

  it('is found whatever the case of the name in it', async () => {
    await leave(offer(lamp.udf.toLowerCase(), { uniqueId: 'OFFER' }));
    expect(await poll(lamp)).toBe('201 OFFER');
  });

  it('replaces none that waits: a device that comes again is shown the next, and after the last the first', async () => {
    for (const uniqueId of ['ONE', 'TWO', 'THREE']) await leave(offer(lamp.udf, { uniqueId }));
    const shown: string[] = [];
    for (let times = 0; times < 5; times += 1) shown.push(await poll(lamp));
    expect(shown).toEqual(['201 ONE', '201 TWO', '201 THREE', '201 ONE', '201 TWO']);
  });

  it('waits for as long as a device would take it', async () => {
    await leave(offer(lamp.udf));
    shard.nowMs += offerMs;
    expect(await poll(lamp)).toBe('300');
  });

  it('is refused where as many wait for the device as may, and waits for others all the same', async () => {
    for (let times = 0; times < offersPerDeviceMax; times += 1) expect(await leave(offer(lamp.udf))).toBe('Accept');
    expect(await leave(offer(lamp.udf))).toBe('policy');
    expect(await leave(offer(kettle.udf))).toBe('Accept');
    shard.nowMs += offerMs;
    expect(await leave(offer(lamp.udf))).toBe('Accept');
  });

  it('counts among what strangers of a domain may send in a day', async () => {
    const { sendingDomains } = shard.context;
    await leave(offer(lamp.udf));
    expect(sendingDomains.requestsLeft('alpha.test', shard.nowMs)).toBe(contactRequestsPerDomainPerDayMax - 1);
    for (let times = 1; times < contactRequestsPerDomainPerDayMax; times += 1) {
      sendingDomains.countRequest('alpha.test', shard.nowMs);
    }
    expect(await leave(offer(kettle.udf))).toBe('policy');
  });

  it('is refused where no device could read it', async () => {
    expect(await leave(offer(undefined))).toBe('malformed');
    expect(await leave(offer('no name!'))).toBe('malformed');
    expect(await leave(offer(lamp.udf, { enc: 'A256CBC' }))).toBe('malformed');
    expect(shard.store.offers).toEqual([]);
  });

  it('is announced first where the sender wants it so', async () => {
    const octets = offer(lamp.udf, { uniqueId: 'OFFER' });
    expect(await leave(redactEnvelope(octets))).toBe('Accept');
    expect(await poll(lamp)).toBe('300');
    expect(await leave(octets)).toBe('Accept');
    expect(await poll(lamp)).toBe('201 OFFER');
  });

  it('[S80] is refused alike by an account where nobody hails and by a name that nobody has', async () => {
    const bob = new Person('bob');
    await shard.join(bob, bob.device());
    expect(await leave(offer(lamp.udf, { to: [bob.address] }), bob.address)).toBe('policy');
    expect(await leave(offer(lamp.udf, { to: ['nobody@example.com'] }), 'nobody@example.com')).toBe('policy');
    expect(await poll(lamp, bob.address)).toBe('connection-unknown');
    expect(await poll(lamp, 'nobody@example.com')).toBe('connection-unknown');
  });
});
