/** What a device makes of answers that nobody asked for, of marks that nobody made, and of runs that were killed (R161, S72). */

import { BindingError } from '@meshd/binding/errors';
import type { HostIdentity } from '@meshd/binding/host-files';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type EnvelopeOctets, openEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { confirmationLifeMs } from '@meshd/limits/client';
import { contactCatalog, inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import { MessageComplete } from '@meshd/schema/messages-mesh';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Device, withDevice } from '../device.js';
import { accountAt, type FakeService, fakeNowMs, signingService } from '../fake-service.fixture.js';
import { makeCard } from '../people/card.js';
import { Someone } from '../people/people.fixture.js';
import { buildSelfMessage, markMessage } from '../self-message.js';
import { answerConfirmation, askedConfirmations, pendingConfirmations, requestConfirmation } from './confirmations.js';
import { acceptContact, pendingContacts, requestContact, takeReplies, tellContacts } from './contact-exchange.js';
import { allowContact, deleteContact, importCard, listContacts, udfOf } from './contacts.js';
import { markMessages } from './message-marks.js';
import { listMessages } from './messages.js';
import { senderStandings } from './sender-standing.js';

const bob = new Someone('bob@example.org');
const impostor = new Someone('bob@example.org');
let service: FakeService;
let home: string;
let alice: Someone;

const does = <T>(work: (device: Device) => Promise<T>, nowMs = fakeNowMs): Promise<T> => {
  service.headsAtMs = () => nowMs;
  return withDevice(home, service.environment(nowMs), work);
};
const told = (work: Promise<unknown>) => work.then(() => 'done').catch(({ code, message }) => `${code}: ${message}`);
const cardOf = (person: Someone): EnvelopeOctets => makeCard({ ...person.sender, name: 'Bob' });
const inJson = (octets: EnvelopeOctets) => JSON.parse(Buffer.from(writeEnvelope(octets, 'json')).toString('utf8'));
/** A message of somebody in the inbound spool. @returns its identifier */
function comes(octets: EnvelopeOctets): string {
  service.file(inboundSpool, octets);
  return openEnvelope(octets).contentMetaData?.UniqueID as string;
}
const replies = (person: Someone, id: string) =>
  comes(person.say(alice, 'ReplyContact', { References: [{ MessageID: id }], Self: inJson(cardOf(person)) }));
const contacts = () => does(listContacts);
const asks = async (more: { expectedUdf?: string } = {}): Promise<string> => {
  const sent = await does((device) => requestContact(device, { address: bob.address, wantsReply: true, ...more }));
  return sent.messages[0]?.id as string;
};

beforeEach(async () => {
  service = await signingService();
  home = await accountAt(service);
  // What is posted stands in the spool of what was sent.
  service.postAnswer = ({ Message: messages = [] }) => {
    for (const octets of messages) service.file(outboundSpool, octets);
    return { status: 201, message: { Entries: [{ Result: 'Accept', IndexContainer: 1 }] } };
  };
  alice = await does(async ({ session: { state, keys, identity } }) =>
    Object.assign(Object.create(Someone.prototype), { address: state.address, keys, identity }),
  );
});

describe('[R161] an answer to a request for contact', () => {
  it('is filed by itself, once', async () => {
    const id = await asks();
    expect((await contacts())[0]).toMatchObject({ address: bob.address, permissions: ['ReplyContact'] });
    replies(bob, id);
    expect(await does(takeReplies)).toMatchObject([{ contact: { address: bob.address, name: 'Bob' } }]);
    expect(await does(takeReplies)).toEqual([]);
    expect((await contacts()).map((contact) => [udfOf(contact), contact.permissions])).toEqual([
      [bob.identity.accountUdf, ['*']],
    ]);
  });

  it('that nobody has asked for, or asked somebody else, files nobody', async () => {
    const id = await asks();
    const carol = new Someone('carol@example.org');
    replies(carol, id);
    replies(bob, 'NOBODY-ASKED');
    const taken = await does(takeReplies);
    expect(taken.map(({ reason }) => reason)).toEqual(Array(2).fill(expect.stringMatching(/has not sent to it$/)));
    expect((await contacts()).map(({ address, account }) => [address, account])).toEqual([[bob.address, undefined]]);
    // They are done with, on every device.
    expect(await does(takeReplies)).toEqual([]);
  });

  it('[S62] [S72] of somebody who is known brings a newer profile of his, unasked, and no older one', async () => {
    await does((device) => importCard(device, cardOf(bob), { permissions: ['Note'] }));
    const keyOf = async () => (await contacts())[0]?.account?.KeyEncryption?.UDF;
    const before = await keyOf();
    const renewed = bob.renewed(fakeNowMs + 1000);
    const tells = (person: Someone) => comes(person.say(alice, 'ReplyContact', { Self: inJson(cardOf(person)) }));
    tells(renewed);
    expect(await does(takeReplies)).toMatchObject([{ contact: { permissions: ['Note'] } }]);
    expect([await keyOf(), before]).toEqual([
      renewed.keys.key('meshEncryption').publicKey.udf,
      bob.keys.key('accountEncryption').publicKey.udf,
    ]);
    tells(bob);
    expect((await does(takeReplies))[0]?.reason).toBeUndefined();
    expect(await keyOf()).not.toBe(before);
    tells(impostor);
    expect((await does(takeReplies))[0]?.reason).toMatch(/has not sent to it/);
  });

  it('tells those who know the account, and nobody else', async () => {
    expect((await does((device) => tellContacts(device))).messages).toEqual([]);
    await does((device) => importCard(device, cardOf(bob), {}));
    await does((device) => allowContact(device, { address: 'carol@example.org' }));
    const { messages } = await does((device) => tellContacts(device));
    expect(messages).toMatchObject([{ recipient: bob.address, isEncrypted: true, state: 'sent' }]);
  });

  it('[S72] of another account than the one that is known or was scanned replaces nobody', async () => {
    const scanned = await asks({ expectedUdf: bob.identity.accountUdf });
    replies(impostor, scanned);
    expect((await does(takeReplies))[0]?.reason).toMatch(/another account before/);
    expect((await contacts())[0]?.account).toBeUndefined();
    replies(bob, scanned);
    expect(await does(takeReplies)).toMatchObject([{ contact: { isVerified: true } }]);
    replies(impostor, await asks());
    expect((await does(takeReplies))[0]?.reason).toMatch(/another account before/);
    expect((await contacts()).map(udfOf)).toEqual([bob.identity.accountUdf]);
  });

  it('[S72] a request of another account under a known address is shown as that, and not accepted', async () => {
    await does((device) => importCard(device, cardOf(bob), {}));
    const id = comes(impostor.say(alice, 'RequestContact', { Reply: true, Self: inJson(cardOf(impostor)) }));
    expect((await does(pendingContacts)).requests).toMatchObject([{ standing: 'changed' }]);
    expect(await told(does((device) => acceptContact(device, id)))).toMatch(/^profile: .*another account before/);
    expect((await contacts()).map(udfOf)).toEqual([bob.identity.accountUdf]);
  });

  it('[S72] any message of another account under a known address is told apart from those of the one who is known', async () => {
    const ids = [bob, impostor, new Someone('carol@example.org')].map((each) => comes(each.say(alice, 'Note', {})));
    const standings = () =>
      does(async (device) => {
        const { messages } = await listMessages(device, 'inbound');
        const found = await senderStandings(device, messages);
        return ids.map((id) => found.get(messages.find((message) => message.id === id) as never));
      });
    const stranger = { standing: 'new', isVerified: false };
    expect(await standings()).toEqual([stranger, stranger, stranger]);
    await does((device) => importCard(device, cardOf(bob), {}));
    const known = [
      { standing: 'known', isVerified: false },
      { standing: 'changed', isVerified: false },
    ];
    expect(await standings()).toEqual([...known, stranger]);
    await does((device) => deleteContact(device, bob.address));
    // He has moved, and what he wrote from the address before is his.
    const { identity } = bob.renewed(fakeNowMs + 1000, ['bob@example.net', bob.address]);
    const fingerprint = identity.accountUdf;
    await does((device) => importCard(device, identity.profileAccount, { fingerprint }));
    expect(await standings()).toEqual([{ standing: 'known', isVerified: true }, stranger, stranger]);
  });

  it('with a card that was altered shows nobody, and cannot be accepted', async () => {
    const [header, payload, trailer] = inJson(cardOf(bob));
    const text = Buffer.from(payload, 'base64url').toString('utf8').replace('"Bob"', '"Bot"');
    const Self = [header, Buffer.from(text).toString('base64url'), trailer];
    const id = comes(bob.say(alice, 'RequestContact', { Reply: true, Self }));
    const { requests, refused } = await does(pendingContacts);
    expect([requests, refused.map(({ reason }) => reason)]).toEqual([[], [expect.stringMatching(/is refused/)]]);
    expect(await told(does((device) => acceptContact(device, id)))).toMatch(/^profile/);
    expect(await contacts()).toEqual([]);
  });
});

it('[R186] [S60] of a contact the service reads the address, the account and what is taken, and nothing else', async () => {
  await does((device) => importCard(device, cardOf(bob), { permissions: ['Note', 'ReplyContact'] }));
  const octets = service.containers.get(contactCatalog)?.at(-1) as EnvelopeOctets;
  const { header, contentMetaData } = openEnvelope(octets);
  expect(header.enc).toBe('A256GCM');
  expect(contentMetaData?.KeyValues).toEqual([
    { Key: 'Address', Value: bob.address },
    { Key: 'AccountUDF', Value: bob.identity.accountUdf },
    { Key: 'Permissions', Value: 'Note,ReplyContact' },
  ]);
  expect(Buffer.from(octets.payload ?? []).includes('Bob')).toBe(false);
  expect((await contacts())[0]).toMatchObject({ name: 'Bob', permissions: ['Note', 'ReplyContact'] });
});

it('nobody is a contact of himself', async () => {
  await expect(does((device) => importCard(device, cardOf(alice), {}))).rejects.toThrow(/this very account/);
  await expect(does((device) => requestContact(device, { address: alice.address, wantsReply: true }))).rejects.toThrow(
    /this very account/,
  );
});

describe('[S41] [S61] a mark', () => {
  const stateOf = async (id: string) => {
    const { messages, refused } = await does((device) => listMessages(device, 'inbound'));
    const found = messages.find((message) => message.id === id);
    return { isDeleted: found?.isDeleted, refused: refused.map(({ reason }) => reason) };
  };
  const markBy = (person: Someone, accountUdf: string, id: string) => {
    const mark = markMessage(nonceUdf(systemRandom), [{ MessageID: id, Relationship: 'Deleted' }]);
    const signer = person.keys.key('connectionSignature');
    return buildSelfMessage(mark, accountUdf, signer, { nowMs: () => fakeNowMs, random: systemRandom });
  };

  it('of a device of the account counts', async () => {
    const id = comes(bob.say(alice, 'Note', { Text: 'hello' }));
    comes(markBy(alice, alice.identity.accountUdf, id));
    expect(await stateOf(id)).toEqual({ isDeleted: true, refused: [] });
  });

  it('of somebody else, or for another account, changes nothing: the service cannot make one', async () => {
    const id = comes(bob.say(alice, 'Note', { Text: 'hello' }));
    comes(markBy(bob, alice.identity.accountUdf, id));
    comes(markBy(alice, bob.identity.accountUdf, id));
    expect(await stateOf(id)).toEqual({
      ...{
        isDeleted: false,
        refused: ['no device of this account has made the mark', 'the mark is for another spool'],
      },
    });
  });
});

describe('[S72] what the service says in the inbound spool', () => {
  /** A mark that a host has signed, of some time. */
  const said = (relationship: string, id: string, atMs = fakeNowMs, host = service.host, spool = inboundSpool) => {
    const own = nonceUdf(systemRandom);
    const References = [{ MessageID: id, Relationship: relationship, Account: bob.address }];
    const { signingKey, profileHost: Profile, connectionHost: Connection } = host as HostIdentity;
    const mark = signEnvelope({
      payload: encodeTagged(MessageComplete, { MessageID: own, References }, 'json'),
      contentMeta: { UniqueID: own, MessageType: MessageComplete.name, Created: new Date(atMs) },
      contentType: 'application/mmm',
      keys: [signingKey],
      entryMembers: [{ Profile, Connection }],
    });
    service.file(spool, mark);
    return own;
  };
  const inbound = () => does((device) => listMessages(device, 'inbound'));

  it('is that it has refused another account under a known address, newest first', async () => {
    expect((await inbound()).identityChanged).toEqual([]);
    const [first, second] = [said('IdentityChanged', 'ONE', 1000), said('IdentityChanged', 'TWO', 2000)];
    const { messages, refused, identityChanged } = await inbound();
    expect([messages, refused]).toEqual([[], []]);
    expect(identityChanged).toEqual([
      { id: second, account: bob.address, messageId: 'TWO', timeMs: 2000, isDeleted: false },
      { id: first, account: bob.address, messageId: 'ONE', timeMs: 1000, isDeleted: false },
    ]);
    await does((device) => markMessages(device, [first], 'Deleted'));
    expect((await inbound()).identityChanged.map(({ isDeleted }) => isDeleted)).toEqual([false, true]);
  });

  it('[S41] is nothing that becomes of a message, whatever it calls it', async () => {
    const id = comes(bob.say(alice, 'RequestConfirmation', { Text: 'Well?' }));
    const before = await inbound();
    for (const word of ['Accept', 'Reject', 'Read', 'Deleted', 'Received', 'IdentityChanged']) said(word, id);
    const { identityChanged, ...after } = await inbound();
    expect({ ...after, identityChanged: [] }).toEqual(before);
    expect(identityChanged).toMatchObject([{ messageId: id, isDeleted: false }]);
    expect(await does(pendingConfirmations)).toMatchObject([{ text: 'Well?' }]);
  });

  it('is believed of a host of the service alone, and in no other spool', async () => {
    said('IdentityChanged', 'ONE', fakeNowMs, (await signingService()).host);
    comes(ownMark('IdentityChanged', 'TWO'));
    const { identityChanged, refused } = await inbound();
    expect([identityChanged, refused.length]).toEqual([[], 1]);
    said('IdentityChanged', 'THREE', fakeNowMs, service.host, outboundSpool);
    expect((await does((device) => listMessages(device, 'outbound'))).identityChanged).toEqual([]);
  });

  const ownMark = (relationship: string, id: string) => {
    const mark = markMessage(nonceUdf(systemRandom), [{ MessageID: id, Relationship: relationship }]);
    const signer = alice.keys.key('connectionSignature');
    return buildSelfMessage(mark, alice.identity.accountUdf, signer, { nowMs: () => fakeNowMs, random: systemRandom });
  };
});

describe('[R161] a request for confirmation', () => {
  const minuteMs = 60_000;
  const question = (more: object = {}) => comes(bob.say(alice, 'RequestConfirmation', { Text: 'Well?', ...more }));
  const posted = () => service.posts.length;

  it('is answered once, also where the first run was killed before it said so', async () => {
    await does((device) => importCard(device, cardOf(bob), {}));
    const id = question();
    service.beforeCall = async (transaction) => {
      if (transaction === 'Upload') throw new BindingError('transport', 'the line broke');
    };
    expect(await told(does((device) => answerConfirmation(device, id, true)))).toMatch(/^unavailable/);
    expect(posted()).toBe(1);
    service.beforeCall = async () => undefined;
    // Whatever is said now, what was said is said.
    expect(await does((device) => answerConfirmation(device, id, false))).toMatchObject({
      accept: true,
      response: undefined,
    });
    expect(posted()).toBe(1);
    expect(await told(does((device) => answerConfirmation(device, id, true)))).toMatch(/^usage: there is no message/);
  });

  it('is answered to a person who is no contact by the account that the question shows', async () => {
    const id = question();
    const { response } = await does((device) => answerConfirmation(device, id, true));
    expect(response).toMatchObject({ recipient: bob.address, isEncrypted: true });
    const read = await bob.read(service.posts[0]?.message as EnvelopeOctets);
    expect(read.body).toMatchObject({ Accept: true, Request: { MessageID: id, Text: 'Well?' } });
  });

  it('that has expired is not shown and not answered', async () => {
    const id = question({ Expires: new Date(fakeNowMs + minuteMs).toISOString() });
    expect(await does(pendingConfirmations)).toMatchObject([{ text: 'Well?', expiresMs: fakeNowMs + minuteMs }]);
    const later = fakeNowMs + minuteMs + 1;
    expect(await does(pendingConfirmations, later)).toEqual([]);
    expect(await told(does((device) => answerConfirmation(device, id, true), later))).toMatch(/^usage/);
    expect(posted()).toBe(0);
  });

  it('whose answer the own service does not take stays open', async () => {
    const id = question();
    service.postAnswer = () => ({ status: 201, message: { Entries: [{ Result: 'Reject', StatusExtended: 2 }] } });
    expect(await told(does((device) => answerConfirmation(device, id, true)))).toMatch(
      /^refused: the answer was not taken/,
    );
    expect(await does(pendingConfirmations)).toMatchObject([{ message: { id, decision: undefined } }]);
  });

  it('is not answered by a device that may not confirm', async () => {
    const id = question();
    const limited = new Someone(alice.address, [{ Name: 'Messaging' }]).identity.connectionAccount;
    const answering = does(async (device) => {
      await device.session.renew({ ...device.session.identity, connectionAccount: limited });
      return answerConfirmation(device, id, true);
    });
    expect(await told(answering)).toMatch(/^usage: this device may not confirm/);
    expect(posted()).toBe(0);
  });

  it('of ours waits, expires, and is not decided by what somebody else says', async () => {
    await does((device) => importCard(device, cardOf(bob), { permissions: ['Note'] }));
    const ask = { address: bob.address, text: 'Well?' };
    const id = (await does((device) => requestConfirmation(device, ask))).messages[0]?.id as string;
    // The service sees of an encrypted answer its type alone, so that is let in.
    expect((await contacts())[0]?.permissions).toEqual(['Note', 'ResponseConfirmation']);
    const Request = (await bob.read(service.posts[0]?.message as EnvelopeOctets)).body;
    comes(impostor.say(alice, 'ResponseConfirmation', { Request, Accept: true }));
    expect(await does(askedConfirmations)).toMatchObject([
      { message: { id }, state: 'waiting', refused: [{ reason: `another account answers for ${bob.address}` }] },
    ]);
    const end = fakeNowMs + confirmationLifeMs + 1000;
    expect(await does(askedConfirmations, end)).toMatchObject([{ state: 'expired' }]);
    comes(bob.say(alice, 'ResponseConfirmation', { Request, Accept: false }));
    comes(bob.say(alice, 'ResponseConfirmation', { Request, Accept: true }));
    expect(await does(askedConfirmations, end)).toMatchObject([{ state: 'rejected' }]);
    // What has counted stays so, also when the person is forgotten.
    await does((device) => deleteContact(device, bob.address), end);
    expect(await does(askedConfirmations, end)).toMatchObject([
      { state: 'rejected', refused: [{}, { reason: 'the request has been answered before' }] },
    ]);
  });
});
