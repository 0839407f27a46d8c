/** What another service may say to this one, over TLS and down to the database (S70–S73, S75, S80–S82). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import { type Device, withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { importCard } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { listMessages } from '@meshd/client/operations/messages';
import { makeEnvelope, openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import { ProfileAccount, profileRegistry } from '@meshd/schema/profiles';
import { Person, publicMember, signedObject, testKey } from '@meshd/shard/testing/person';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh } from '../client/mesh-program.js';
import type { Member } from '../router/wire-kit.js';
import {
  domain,
  draftOf,
  type Foreign,
  type ForeignService,
  nameOf,
  openForeign,
  type Posted,
  type PostOptions,
  placeOf,
  type Sender,
  told,
} from './foreign-kit.js';

let foreign: Foreign;
let alpha: ForeignService;
let evil: ForeignService;
let thief: HostIdentity;
let bob: Member;
let carol: Member;
let alice: Sender;
const bobs = `bob@${domain}`;
const carols = `carol@${domain}`;
const invented = `zed@${domain}`;

beforeAll(async () => {
  // What gamma.test names is an address that only this machine can reach, and not the one that is open.
  const records = placeOf('gamma.test', 443, '127.0.0.2');
  foreign = await openForeign(['alpha.test', 'evil.test'], { records });
  [alpha, evil] = foreign.services as [ForeignService, ForeignService];
  thief = await foreign.thiefOf('alpha.test');
  bob = await foreign.wire.join('bob');
  carol = await foreign.wire.join('carol');
  alice = alpha.person('alice');
  await foreign.allow(bob, { Address: 'alice@alpha.test', AccountUDF: alice.person.accountUdf, Permissions: '*' });
  await foreign.allow(carol, { Address: 'alice@alpha.test', Permissions: 'RequestConfirmation' });
}, 400_000);
afterAll(() => foreign?.stop());

const toBob = (more = {}) => ({ Accounts: [bobs], Message: [draftOf(alice, { to: [bobs], ...more })] });
const statusOf = ({ status, statusExtended }: Posted) => [status, statusExtended ?? 0];
const inboundOf = async (member: Member) => (await foreign.spool(member)).map(nameOf);

describe('[R184] [S70] a service that is not known yet', () => {
  it('is told to come back, is looked up by us meanwhile, and is then heard', async () => {
    const first = await alpha.post(toBob());
    expect(statusOf(first)).toEqual([503, 22]);
    expect(first.retryAfterMs).toBeGreaterThan(0);
    await alpha.introduce();
    // It was our own call to its own domain that told us who it is.
    expect(alpha.scripted.addressed[0]).toMatchObject({ host: 'alpha.test', serverName: 'alpha.test' });
    const sent = draftOf(alice, { to: [bobs], uniqueId: 'first' });
    const { status, message } = await alpha.post({ Accounts: [bobs], Message: [sent] });
    expect([status, told(message.Entries)]).toEqual([201, [`0 ${bobs} Accept`]]);
    expect(await inboundOf(bob)).toContain('first');
  });
});

describe('[S70] [R038] a service that the DNS does not lead to', () => {
  it.each([
    ['gamma.test', 'discovery-private'],
    ['invented.test', 'discovery-none'],
  ])('is not called, and not heard: %s', async (name, failure) => {
    const host = await foreign.thiefOf(name);
    const person = new Person('somebody', { address: `somebody@${name}` });
    const Message = [draftOf({ person, device: person.device() }, { to: [bobs] })];
    const post = () => alpha.post({ Accounts: [bobs], Message }, { host });
    expect(statusOf(await post())).toEqual([503, 22]);
    const directory = new pg.Client({ connectionString: foreign.wire.provider.databases.directory });
    await directory.connect();
    const noted = async () =>
      (await directory.query('SELECT last_failure FROM directory_peer WHERE domain = $1', [name])).rows[0]
        ?.last_failure;
    await expect.poll(noted, { timeout: 30_000, interval: 200 }).toContain(failure);
    await directory.end();
    expect(statusOf(await post())).toEqual([503, 22]);
  });
});

describe('who speaks for a domain', () => {
  beforeAll(async () => {
    await alpha.introduce();
    await evil.introduce();
  });
  const refused = async (service: ForeignService, options: PostOptions = {}) => {
    const before = (await foreign.spool(bob)).length;
    const answered = statusOf(await service.post(toBob(), options));
    expect((await foreign.spool(bob)).length).toBe(before);
    return answered;
  };

  it('[R184] [S70] no true host of another domain', async () => {
    expect(await refused(evil)).toEqual([403, 5]);
  });

  it('[S70] no host that names the domain by the word of a service that is not the pinned one', async () => {
    expect(await refused(alpha, { host: thief })).toEqual([401, 10]);
  });

  it('[S70] [R173] [S33] a ticket does, for its own domain, as long as its service is the pinned one', async () => {
    const asked = await alpha.link.call('Hello', {}, [alpha.signer()]);
    expect(asked.message.Exchange).toBeDefined();
    const sent = draftOf(alice, { to: [bobs], uniqueId: 'ticketed' });
    const answered = await alpha.post({ Accounts: [bobs], Message: [sent] }, { useTicket: true });
    expect([answered.authenticatedBy, answered.status]).toEqual(['ticket', 201]);
    expect(await inboundOf(bob)).toContain('ticketed');
    const mallory = evil.person('mallory');
    // A ticket of alpha's cannot bring what evil's people say.
    const forged = await alpha.post({ Accounts: [bobs], Message: [draftOf(mallory, { to: [bobs] })] });
    expect(statusOf(forged)).toEqual([403, 5]);
  });

  it('[R172] nobody without a signature', async () => {
    const bare = await alpha.link.call('Post', toBob(), [], { useTicket: false });
    expect(bare.status).toBe(401);
  });

  it('[S70] no thief gets a ticket', async () => {
    const asked = await evil.link.call('Hello', {}, [alpha.signer(thief)]).catch((error) => error);
    expect(asked.message?.Exchange).toBeUndefined();
  });
});

describe('[R005] [R275] what a service may say', () => {
  it('[S71] no Self, and nothing but Hello and Post', async () => {
    const Self = [draftOf(alice, { to: [bobs] })];
    expect(statusOf(await alpha.post({ ...toBob(), Self }))).toEqual([403, 5]);
    const host = [alpha.signer()];
    const asked = [
      await alpha.link.call('Status', { Account: bobs }, host, { useTicket: false }),
      await alpha.link.call('Upload', { Account: bobs, Updates: [] }, host, { useTicket: false }),
      await alpha.link.call('Download', { Account: bobs, Select: [] }, host, { useTicket: false }),
      await alpha.link.call('DeleteAccount', { Account: bobs }, host, { useTicket: false }),
    ];
    expect(asked.map(({ status, statusExtended }) => [status, statusExtended])).toEqual(asked.map(() => [403, 5]));
  });

  it('[S71] several messages and accounts in one Post: each is filed for whom it was made, and answered in order', async () => {
    const one = draftOf(alice, { to: [bobs, carols], uniqueId: 'both' });
    const two = draftOf(alice, { to: [bobs], uniqueId: 'his' });
    const { status, message } = await alpha.post({ Accounts: [bobs, carols, invented], Message: [one, two] });
    expect([status, told(message.Entries)]).toEqual([
      201,
      [
        ...[`0 ${bobs} Accept`, `0 ${carols} Accept`, `0 ${invented} Reject`],
        ...[`1 ${bobs} Accept`, `1 ${carols} Reject`, `1 ${invented} Reject`],
      ],
    ]);
    expect(await inboundOf(bob)).toEqual(expect.arrayContaining(['both', 'his']));
    expect(await inboundOf(carol)).toEqual(['both']);
  });

  it('[R181] [R182] [S01] no message whose signature, device or account does not hold', async () => {
    const mallory = alpha.person('mallory');
    const theirs = mallory.device;
    const bare = makeEnvelope({ header: {}, payload: Buffer.from('{}') });
    const unproved = [
      draftOf(alice, { to: [bobs], signer: testKey('mallory') }),
      draftOf(alice, { to: [bobs], signer: alice.device.authentication }),
      draftOf(alice, { to: [bobs], signer: theirs.signature, entry: { Connection: theirs.connection } }),
      draftOf(mallory, { to: [bobs], manifest: { subject: 'alice@alpha.test' } }),
      { ...draftOf(alice, { to: [bobs] }), payload: Buffer.from('another') },
    ];
    const before = await inboundOf(bob);
    const { status, message } = await alpha.post({ Accounts: [bobs], Message: unproved });
    expect([status, told(message.Entries)]).toEqual([403, unproved.map((_, at) => `${at} ${bobs} Reject`)]);
    // What has no manifest is of nobody: the whole Post is refused (S75).
    expect(statusOf(await alpha.post({ Accounts: [bobs], Message: [bare] }))).toEqual([400, 23]);
    expect(await inboundOf(bob)).toEqual(before);
  });

  it('[S72] no other account under the address of a person whom the user knows', async () => {
    const person = new Person('replaced', { address: 'alice@alpha.test' });
    const sender = { person, device: person.device() };
    for (const type of ['Note', 'RequestContact']) {
      const { message } = await alpha.post({ Accounts: [bobs], Message: [draftOf(sender, { to: [bobs], type })] });
      expect(told(message.Entries)).toEqual([`0 ${bobs} Reject`]);
    }
    const { message } = await alpha.post(toBob());
    expect(told(message.Entries)).toEqual([`0 ${bobs} Accept`]);
  });

  it('[S72] and whoever knows that person is told on her device, once, however often it is tried', async () => {
    const home = await mkdtemp(join(tmpdir(), 'meshd-told-'));
    const system = systemEnvironment();
    const does = <T>(work: (device: Device) => Promise<T>) => withDevice(home, system, work);
    const dora = `dora@${domain}`;
    const { url, ca } = foreign.wire.provider;
    await createAccount(home, system, { address: dora, url, ca });
    const { profileAccount, accountOffline } = alice.person;
    const { value } = decodeTagged(profileRegistry, profileAccount.payload ?? new Uint8Array(0), { form: 'json' });
    // Whom one can write to has a key to encrypt to.
    const profile = { ...(value as ProfileAccount), KeyEncryption: publicMember(testKey('alice encryption')) };
    await does((device) => importCard(device, signedObject(ProfileAccount, profile, accountOffline), {}));
    const person = new Person('another', { address: 'alice@alpha.test' });
    const sender = { person, device: person.device() };
    for (const uniqueId of ['refused', 'again']) {
      const { message } = await alpha.post({ Accounts: [dora], Message: [draftOf(sender, { to: [dora], uniqueId })] });
      expect(told(message.Entries)).toEqual([`0 ${dora} Reject`]);
    }
    const listed = () => does((device) => listMessages(device, 'inbound'));
    await expect
      .poll(async () => (await listed()).identityChanged, { timeout: 30_000, interval: 200 })
      .toMatchObject([{ account: 'alice@alpha.test', messageId: 'refused' }]);
    const { messages, refused, identityChanged } = await listed();
    expect([messages, refused, identityChanged.length]).toEqual([[], [], 1]);
    const shown = async (...flags: string[]) => (await mesh(['message', 'list', '--home', home, ...flags])).stdout;
    expect(await shown()).toMatch(/^no inbound messages\nANOTHER ACCOUNT THAN BEFORE: .*refused.*alice@alpha\.test/s);
    const [notice] = JSON.parse(await shown('--json')).identityChanged;
    expect(notice).toMatchObject({ account: 'alice@alpha.test', messageId: 'refused' });
    expect((await mesh(['message', 'delete', notice.id, '--home', home])).code).toBe(0);
    expect(await shown()).toBe('no inbound messages\n');
    expect(JSON.parse(await shown('--all', '--json')).identityChanged).toEqual([notice]);
    await rm(home, { recursive: true });
  });

  it('[S73] the same message once, however often and in whatever Post it comes; its receipt is the same', async () => {
    const sent = draftOf(alice, { to: [bobs], uniqueId: 'once' });
    const message = { Accounts: [bobs], Message: [sent] };
    const answers = [await alpha.post(message), await alpha.post(message), await alpha.post({ ...message })];
    const receipts = answers.map((each) => Buffer.from(each.message.Entries?.[0]?.Receipt?.payload ?? []).toString());
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(receipts).size).toBe(1);
    expect((await inboundOf(bob)).filter((name) => name === 'once')).toHaveLength(1);
  });
});

describe('what a service is told', () => {
  /** Everything of an answer but the names, and of receipts but what is fresh in each. */
  const shapeOf = ({ status, statusExtended, message }: Posted) => ({
    ...{ status, statusExtended },
    entries: message.Entries?.map(({ Account: _account, Receipt, ...members }) => {
      const opened = Receipt && openEnvelope(Receipt);
      const receipt = opened && JSON.parse(Buffer.from(opened.payload ?? []).toString()).DeliveryReceipt;
      return { ...members, receipt: receipt && { ...receipt, Recipient: '', Core: '', ReceiptID: '', Time: '' } };
    }),
    others: Object.keys(message).sort(),
  });
  const askFor = (account: string, type: string, sender = alpha.person('stranger')) =>
    alpha.post({ Accounts: [account], Message: [draftOf(sender, { to: [account], type })] });

  it('[S80] [S81] the same of an account and of a name that nobody has', async () => {
    for (const type of ['RequestContact', 'Note', 'ReplyContact']) {
      expect(shapeOf(await askFor(invented, type))).toEqual(shapeOf(await askFor(bobs, type)));
    }
  });

  it('[S80] [S82] the same of both when it asks before it sends', async () => {
    const offered = async (account: string) => {
      const whole = draftOf(alpha.person('asker'), { to: [account], type: 'RequestContact' });
      const asked = await alpha.post({ Accounts: [account], Message: [redactEnvelope(whole)] });
      const sent = await alpha.post({ Accounts: [account], Message: [whole] });
      return [shapeOf(asked), shapeOf(sent)];
    };
    const [asked, sent] = await offered(bobs);
    expect(asked).toMatchObject({ status: 300, entries: [{ Result: 'Accept' }] });
    expect(sent).toMatchObject({ status: 201, entries: [{ Result: 'Accept' }] });
    expect(await offered(invented)).toEqual([asked, sent]);
  });

  it('[S82] an offer must prove itself, and vouches for no other body', async () => {
    const whole = draftOf(alice, { to: [bobs], uniqueId: 'offered' });
    const unsigned = redactEnvelope(
      makeEnvelope({ header: openEnvelope(whole).header, payload: whole.payload ?? null }),
    );
    expect(statusOf(await alpha.post({ Accounts: [bobs], Message: [unsigned] }))).toEqual([400, 23]);
    await alpha.post({ Accounts: [bobs], Message: [redactEnvelope(whole)] });
    const other = { ...whole, payload: Buffer.from('another body') };
    expect(told((await alpha.post({ Accounts: [bobs], Message: [other] })).message.Entries)).toEqual([
      `0 ${bobs} Reject`,
    ]);
    expect(await inboundOf(bob)).not.toContain('offered');
  });

  it('[S75] that it is too old, when it signs no manifests', async () => {
    const old = foreign.services[1] as ForeignService;
    expect(
      statusOf(
        await old.post({ Accounts: [bobs], Message: [makeEnvelope({ header: {}, payload: Buffer.from('{}') })] }),
      ),
    ).toEqual([400, 23]);
  });
});
