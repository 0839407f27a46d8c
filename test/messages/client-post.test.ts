/** A Post of a device over TLS (semantics 6.7, 8.1): what it is told, what is filed, and what the other services get of it. */
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { decodeRequest } from '@meshd/binding/request-open';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, envelopeBytes, openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { messageBytesMax } from '@meshd/limits/limits';
import type { PostRequest } from '@meshd/schema/protocol';
import { selfEntry, testKey } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { answer } from '../client/scripted-service.js';
import type { Member } from '../router/wire-kit.js';
import {
  domain,
  draftOf,
  type Foreign,
  type ForeignService,
  nameOf,
  openForeign,
  signerOf,
  told,
} from './foreign-kit.js';

let foreign: Foreign;
let alpha: ForeignService;
let bob: Member;
let carol: Member;
/** Posts that the other service got, in order. */
const received: PostRequest[] = [];
const alices = 'alice@alpha.test';
const carols = `carol@${domain}`;
const waiting = { timeout: 90_000, interval: 200 };
// What a worker does it may have to do again.
vi.setConfig({ testTimeout: 120_000 });

beforeAll(async () => {
  foreign = await openForeign(['alpha.test']);
  [alpha] = foreign.services as [ForeignService];
  const { scripted } = alpha;
  scripted.respond = async (request) => {
    if (request.base.transaction !== 'Post') return scripted.honestly(request);
    const message = decodeRequest(request).request.message as PostRequest;
    received.push(message);
    const Entries = (message.Message ?? []).map((_, IndexRequest) => {
      return { IndexRequest, Account: message.Accounts?.[0], Result: 'Accept' };
    });
    return { httpStatus: 201, body: await answer(scripted.identity, request, 'PostResponse', { Entries }) };
  };
  [bob, carol] = [await foreign.wire.join('bob'), await foreign.wire.join('carol')];
  await foreign.allow(carol, { Address: `bob@${domain}`, Permissions: '*' });
}, 400_000);
afterAll(() => foreign?.stop());

const post = (message: PostRequest, member = bob) => foreign.devices.call('Post', message, [signerOf(member.device)]);
/** What a device has made of a message, its octets as text: all but the digest that a service may add. */
function octetsOf(envelope: EnvelopeOctets): unknown {
  const { header, payload, signatures } = openEnvelope(envelope);
  return plain({ header, payload, signatures });
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

const marksOf = async (member: Member) =>
  (await foreign.spool(member, 'mmm_Outbound')).flatMap((octets) => {
    const { contentMetaData, payload } = openEnvelope(octets);
    if (contentMetaData?.MessageType !== 'MessageComplete') return [];
    const { References } = JSON.parse(Buffer.from(payload ?? []).toString()).MessageComplete;
    return References.map((one: Record<string, string>) => `${one.MessageID} ${one.Account} ${one.Relationship}`);
  });
const outboundOf = async (member: Member) => (await foreign.spool(member, 'mmm_Outbound')).map(nameOf);

describe('[R017] [R165] a Post of a device', () => {
  let one: EnvelopeOctets;
  let two: EnvelopeOctets;

  it('[R163] [R166] [R276] takes several messages for several accounts, and Self, each answered by number and account', async () => {
    one = draftOf(bob, { to: [alices, carols], uniqueId: 'one' });
    two = draftOf(bob, { to: [carols], uniqueId: 'two' });
    const manifest = { createdMs: Date.now() };
    const own = selfEntry(bob.person.accountUdf, bob.device.signature, {
      uniqueId: 'own',
      type: 'RequestTask',
      manifest,
    });
    const { status, message } = await post({ Accounts: [alices, carols], Message: [one, two], Self: [own] });
    expect(status).toBe(201);
    expect(told(message.Entries)).toEqual([
      ...[`0 ${alices} Accept`, `0 ${carols} Accept`, `1 ${alices} Reject`, `1 ${carols} Accept`],
      '2 undefined Accept',
    ]);
    // One frame a message, however many recipients; the entry for oneself is in the other spool.
    expect((await outboundOf(bob)).filter((name) => name === 'one' || name === 'two')).toEqual(['one', 'two']);
    expect((await foreign.spool(bob)).map(nameOf)).toEqual(['own']);
  });

  it('[R006] [R171] [R172] [R309] reaches the other service as the device made it, with its own accounts alone, from a host', async () => {
    await expect.poll(() => received.length, waiting).toBe(1);
    expect(received[0]?.Accounts).toEqual([alices]);
    const [got] = received[0]?.Message ?? [];
    expect(octetsOf(got as EnvelopeOctets)).toEqual(octetsOf(one));
    expect(received[0]?.Self ?? []).toEqual([]);
    const [proof] = alpha.scripted.requests
      .filter(({ base }) => base.transaction === 'Post')
      .flatMap(({ entries }) => entries);
    expect(['S512-REQ1', 'HS512-REQ1']).toContain(proof?.alg);
  });

  it('[R002] [R188] reaches an account of the same service, and the sender is told of each', async () => {
    await expect.poll(async () => (await foreign.spool(carol)).map(nameOf), waiting).toEqual(['one', 'two']);
    await expect
      .poll(() => marksOf(bob), waiting)
      .toEqual(expect.arrayContaining([`one ${alices} Sent`, `one ${carols} Received`, `two ${carols} Received`]));
  });

  it('[R272] is told alike of accounts that exist and of names that nobody has; marks tell later', async () => {
    const invented = `zed@${domain}`;
    const sent = draftOf(bob, { to: [carols, invented], uniqueId: 'three' });
    const { message } = await post({ Accounts: [carols, invented], Message: [sent] });
    const [first, second] = (message.Entries ?? []).map(({ Account: _account, ...members }) => members);
    expect(second).toEqual(first);
    await expect
      .poll(() => marksOf(bob), waiting)
      .toEqual(expect.arrayContaining([`three ${carols} Received`, `three ${invented} Reject`]));
  });

  it('[R279] [R282] is asked for without bodies first, and leaves nothing until they come', async () => {
    const whole = draftOf(bob, { to: [carols], uniqueId: 'four' });
    const refused = draftOf(bob, { to: [carols], uniqueId: 'five', signer: testKey('mallory') });
    const offered = await post({ Accounts: [carols], Message: [redactEnvelope(whole), redactEnvelope(refused)] });
    expect(offered.status).toBe(300);
    expect(offered.message.Entries).toMatchObject([
      { IndexRequest: 0, Result: 'Accept', ConstraintsData: { BytesMax: messageBytesMax } },
      { IndexRequest: 1, Result: 'Reject' },
    ]);
    expect(await outboundOf(bob)).not.toContain('four');
    const sent = await post({ Accounts: [carols], Message: [whole] });
    expect([sent.status, told(sent.message.Entries)]).toEqual([201, [`0 ${carols} Accept`]]);
    await expect.poll(async () => (await foreign.spool(carol)).map(nameOf), waiting).toContain('four');
  });
});

/** A message of so many octets in JSON-B (encoding 2.1). */
function messageOfSize(bytes: number): EnvelopeOctets {
  const draft = (payloadBytes: number) => draftOf(bob, { to: [carols], payload: systemRandom(payloadBytes) });
  const around = envelopeBytes(draft(bytes - 4096)) - (bytes - 4096);
  const made = draft(bytes - around);
  if (envelopeBytes(made) !== bytes) throw new Error(`${envelopeBytes(made)} octets instead of ${bytes}`);
  return made;
}

describe('a Post of a device is refused', () => {
  const statusOf = async (message: PostRequest, member = bob) => {
    const { status, statusExtended } = await post(message, member);
    return [status, statusExtended ?? 0];
  };

  it('[R006] [R168] [S01] [S24] [S71] when nothing in it is the account’s own word', async () => {
    const foreigner = alpha.person('alice');
    const theirs = { ...carol.device, person: carol.person };
    for (const unproved of [
      draftOf(carol, { to: [carols] }),
      draftOf(foreigner, { to: [carols] }),
      draftOf(bob, { to: [carols], signer: testKey('mallory') }),
      // The key of requests signs no messages.
      draftOf(bob, { to: [carols], signer: bob.device.authentication }),
      draftOf(bob, { to: [carols], signer: theirs.signature, entry: { Connection: theirs.connection } }),
      // Subject says bob, credentials are carol's.
      draftOf(carol, { to: [carols], manifest: { subject: `bob@${domain}` } }),
      draftOf(bob, { to: [carols], entry: { Account: undefined } as never }),
    ]) {
      expect(await statusOf({ Accounts: [carols], Message: [unproved] })).toEqual([403, 5]);
    }
  });

  it('[R163] [R167] when it is no device of an account here: one of another service among them', async () => {
    const stranger = alpha.person('stranger');
    const message = { Accounts: [carols], Message: [draftOf(stranger, { to: [carols] })] };
    const signer = { key: stranger.device.authentication, connection: stranger.device.connection };
    const bare = { key: stranger.device.authentication, profile: stranger.device.profile };
    for (const one of [signer, bare]) {
      expect((await foreign.devices.call('Post', message, [one], { useTicket: false })).status).toBe(401);
    }
  });

  it('[R121] [R159] when a message has an octet more than 65,536, in either encoding', async () => {
    const { url, ca } = foreign.wire.provider;
    for (const form of ['json', 'json-b'] as const) {
      const link = new MeshConnection({ domain, url, ca, pins: memoryPinStore(), features: ['entry'], form });
      const statuses = [];
      for (const bytes of [messageBytesMax, messageBytesMax + 1]) {
        const message = { Accounts: [carols], Message: [messageOfSize(bytes)] };
        statuses.push((await link.call('Post', message, [signerOf(bob.device)])).status);
      }
      await link.close();
      expect([form, ...statuses]).toEqual([form, 201, 413]);
    }
  });

  it('[R159] [R280] when one message is too large: nothing of it is done', async () => {
    const large = draftOf(bob, { to: [carols], payload: new Uint8Array(messageBytesMax) });
    const small = draftOf(bob, { to: [carols], uniqueId: 'beside' });
    expect((await statusOf({ Accounts: [carols], Message: [small, large] }))[0]).toBe(413);
    expect(await outboundOf(bob)).not.toContain('beside');
  });
});
