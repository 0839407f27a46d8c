import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import {
  identityNoticeRepeatMs,
  identityNoticesPerDomainMax,
  identityNoticesRememberedMax,
} from '@meshd/limits/requesters';
import { beforeEach, describe, expect, it } from 'vitest';
import { type AccountState, type ContainerState, type FrameRow, frameBytes } from '../storage/store.js';
import { messageOf } from '../testing/outbox-kit.js';
import { entry, opening, Person, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { deliver } from '../transactions/deliver.js';
import { type IdentityChange, IdentityNotices, writeIdentityNotice } from './identity-notices.js';
import { IncidentTally } from './incident-tally.js';
import { sitePolicyDefault } from './site-policy.js';

const change = { account: 'bob@example.com', sender: 'alice@alpha.test', messageId: 'ONE' };
const nowMs = 1_767_225_600_000;

describe('[S72] notices that another account uses a known address', () => {
  let written: IdentityChange[];
  let failures: unknown[];
  let notices: IdentityNotices;
  beforeEach(() => {
    [written, failures] = [[], []];
    notices = new IdentityNotices(
      async (one) => void written.push(one),
      (error) => failures.push(error),
    );
  });
  const flood = (domain: string, count: number, atMs = nowMs) => {
    const before = written.length;
    for (let at = 0; at < count; at += 1) notices.note({ ...change, sender: `person${at}@${domain}` }, atMs);
    return written.length - before;
  };

  it('are written once a day for each recipient and address', () => {
    for (const messageId of ['ONE', 'TWO']) notices.note({ ...change, messageId }, nowMs);
    notices.note({ ...change, account: 'carol@example.com' }, nowMs);
    notices.note({ ...change, sender: 'dave@alpha.test' }, nowMs);
    notices.note(change, nowMs + identityNoticeRepeatMs - 1);
    expect(written.map(({ account, sender, messageId }) => `${account} ${sender} ${messageId}`)).toEqual([
      'bob@example.com alice@alpha.test ONE',
      'carol@example.com alice@alpha.test ONE',
      'bob@example.com dave@alpha.test ONE',
    ]);
    notices.note(change, nowMs + identityNoticeRepeatMs);
    expect(written).toHaveLength(4);
  });

  it('are so many in a day and no more, of one domain and of all, and none comes again too soon for it', () => {
    expect(flood('alpha.test', 2 * identityNoticesPerDomainMax)).toBe(identityNoticesPerDomainMax);
    expect(flood('beta.test', 1)).toBe(1);
    const domains = identityNoticesRememberedMax / identityNoticesPerDomainMax + 1;
    for (let at = 0; at < domains; at += 1) flood(`flood${at}.test`, identityNoticesPerDomainMax);
    expect(written).toHaveLength(identityNoticesRememberedMax);
    expect(flood('gamma.test', 1) + flood('alpha.test', 1)).toBe(0);
    const later = nowMs + identityNoticeRepeatMs;
    expect(flood('gamma.test', 1, later)).toBe(1);
    expect(flood('alpha.test', 2 * identityNoticesPerDomainMax, later)).toBe(identityNoticesPerDomainMax);
  });

  it('that cannot be written are no fault of the message', async () => {
    const failing = new IdentityNotices(
      () => Promise.reject(new Error('closed')),
      (error) => failures.push(error),
    );
    failing.note(change, nowMs);
    await expect.poll(() => failures).toHaveLength(1);
  });
});

describe('[S72] the recipient of what is refused', () => {
  const alice = new Person('alice', { address: change.sender });
  const impostor = new Person('impostor', { address: change.sender });
  const bob = new Person('bob');
  let shard: TestShard;
  let laptop: TestDevice;
  let contacts: TestWriter;

  beforeEach(async () => {
    shard = await new TestShard().start();
    laptop = bob.device();
    await shard.join(bob, laptop);
    contacts = new TestWriter('mmm_Contact', bob.accountUdf, laptop.signature);
    await knows(alice);
  });

  /** Bob says whose the address is. */
  async function knows(person: Person): Promise<void> {
    const values = { Address: person.address, AccountUDF: person.accountUdf, Permissions: '*' };
    const KeyValues = Object.entries(values).map(([Key, Value]) => ({ Key, Value }));
    const { frameCount } = contacts.trees.log;
    const links = frameCount === 0 ? { Event: 'New' } : { Event: 'Update', First: 1, Previous: frameCount - 1 };
    const frames = [...(frameCount === 0 ? [opening()] : []), entry({ UniqueID: 'alice', KeyValues, ...links })];
    const result = await shard.upload(laptop, [{ container: 'mmm_Contact', ...contacts.write(frames) }]);
    if ('faults' in result) throw new Error(result.faults[0]?.detail);
  }

  const message = (uniqueId = 'ONE', from = impostor, to = bob.address) =>
    messageOf(from, from.device(), shard.nowMs, { to: [to], uniqueId });

  async function send(octets: EnvelopeOctets, to = bob.address, context = shard.context): Promise<unknown> {
    const request = { senderDomain: 'alpha.test', hostUdf: 'HOST', identity: shard.identity(), receipts: true };
    const messages = [{ indexRequest: 1, octets, recipients: [to] }];
    return (await deliver(context, { ...request, messages }))[0]?.result;
  }

  const filed = (): FrameRow[] => shard.store.framesOf(bob.address, 'mmm_Inbound').slice(1);
  const write = () =>
    writeIdentityNotice(shard.store, { host: shard.host, nowMs: shard.nowMs, random: systemRandom }, change);
  const alter = (of: (state: AccountState) => Partial<AccountState>) =>
    shard.store.transactAccount(bob.address, async ({ state, commit }) => {
      if (state !== undefined) await commit({ replace: { ...state, ...of(state) } });
    });
  /** Who is told when this is delivered. */
  async function toldOf(deliveries: () => readonly (readonly [EnvelopeOctets, string?])[]): Promise<string[]> {
    const told: string[] = [];
    const identityNotices = new IdentityNotices(
      async ({ account, sender, messageId }) => void told.push(`${account} ${sender} ${messageId}`),
    );
    for (const [octets, to] of deliveries()) await send(octets, to, { ...shard.context, identityNotices });
    return told;
  }

  it('is told by a mark in the own spool, under the signature of the host', async () => {
    expect(await send(message())).toBe('Reject');
    await expect.poll(filed).toHaveLength(1);
    const [mark] = filed();
    const opened = openEnvelope(mark as FrameRow);
    const { MessageID, References } = JSON.parse(Buffer.from(opened.payload ?? []).toString()).MessageComplete;
    expect(References).toEqual([{ MessageID: 'ONE', Relationship: 'IdentityChanged', Account: change.sender }]);
    const Created = new Date(shard.nowMs);
    expect(opened.contentMetaData).toMatchObject({ MessageType: 'MessageComplete', UniqueID: MessageID, Created });
    const { publicKey } = shard.host.signingKey;
    await verifyEnvelope(opened, (kid) => (kid === publicKey.udf ? publicKey : undefined));
    // The spool goes on behind it.
    expect(await send(message('OWN', alice))).toBe('Accept');
    expect(filed().map(({ uniqueId }) => uniqueId)).toEqual([MessageID, 'OWN']);
  });

  it('is told once, of each message that is refused for that, and of no other', async () => {
    expect(await toldOf(() => [[message('OWN', alice)], [message('ONE')], [message('TWO')]])).toEqual([
      `${bob.address} ${change.sender} ONE`,
    ]);
    // What was taken when he was known is taken, however often it comes.
    const before = message('BEFORE', alice);
    await send(before);
    await knows(impostor);
    expect(await toldOf(() => [[before]])).toEqual([]);
    expect(await toldOf(() => [[message('AFTER', alice)]])).toHaveLength(1);
  });

  it('is told of what the site lets disappear', async () => {
    shard.site = { ...sitePolicyDefault, dropsSilently: true };
    expect(await toldOf(() => [[message('ONE')], [message('ONE')]])).toHaveLength(1);
    shard.site = { ...sitePolicyDefault, blockedDomains: new Set(['alpha.test']) };
    expect(await toldOf(() => [[message('TWO')]])).toEqual([]);
  });

  it('is not told where nobody is, where he has left, and where nothing more can be written', async () => {
    const nobody = 'nobody@example.com';
    expect(await toldOf(() => [[message('ONE', impostor, nobody), nobody]])).toEqual([]);
    const { quota } = shard.store.stateOf(bob.address) as AccountState;
    const none = async (of: (state: AccountState) => Partial<AccountState>) => {
      await alter(of);
      expect(await toldOf(() => [[message()]])).toEqual([]);
      await write();
      expect(filed()).toEqual([]);
    };
    await none(({ bytesUsed }) => ({ quota: { ...quota, bytesMax: bytesUsed } }));
    await none(({ frameCount }) => ({ quota: { ...quota, framesMax: frameCount } }));
    await none(() => ({ quota, away: { to: 'bob@beta.test', sinceMs: shard.nowMs } }));
    await alter(() => ({ away: null }));
    const spool = shard.store.stateOf(bob.address)?.containers.get('mmm_Inbound') as ContainerState;
    Object.assign(spool, { damaged: true });
    expect(await toldOf(() => [[message()]])).toEqual([]);
    await write();
    expect(filed()).toEqual([]);
    Object.assign(spool, { damaged: false });
    await write();
    expect(filed()).toHaveLength(1);
  });

  it('has room for the mark to the octet, or is not told', async () => {
    await write();
    const [first] = filed();
    const bytes = frameBytes(first as FrameRow);
    const room = (more: number) =>
      alter(({ bytesUsed, quota }) => ({ quota: { ...quota, bytesMax: bytesUsed + bytes + more } }));
    await room(-1);
    await write();
    expect(filed()).toHaveLength(1);
    await room(0);
    await write();
    expect(filed()).toHaveLength(2);
  });

  it('[S80] is told beside the answer: until it is there as much is written as for a name that nobody has', async () => {
    const incidents = new IncidentTally(async () => undefined);
    const context = { ...shard.context, incidents };
    const commitsOf = async (to: string) => {
      const before = shard.store.commitCount;
      expect(await send(message('ONE', impostor, to), to, context)).toBe('Reject');
      return shard.store.commitCount - before;
    };
    const nobody = await commitsOf('nobody@example.com');
    expect([await commitsOf(bob.address), filed()]).toEqual([nobody, []]);
    await expect.poll(filed).toHaveLength(1);
  });
});
