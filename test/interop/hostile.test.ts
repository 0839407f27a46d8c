/** Input that is well-signed and wrong: every answer is a refusal that says so, never 500, and nothing changes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, deviceEntry, item, newAddress } from './kit/account.js';
import { type BatchChoices, Container } from './kit/container.js';
import { signObject, tagged, type Wire } from './kit/dare.js';
import { newKey, publicKey } from './kit/keys.js';
import { b64, utf8 } from './kit/octets.js';
import { codesOf, type Peer } from './kit/peer.js';
import { newDevice, newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId } from './kit/request.js';
import { peek } from './kit/response.js';
import { post } from './kit/wire.js';

let running: Running;
let peer: Peer;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
});
afterAll(() => running?.stop());

let names = 0;
/** Uploads one entry whose header was changed; says status, extended code, result. */
async function upload(change: BatchChoices['change'], meta: object = {}): Promise<string> {
  names += 1;
  const container = new Container(`app_Odd${names}`, account.subject);
  const key = account.device.signature;
  const first = container.opening(key);
  const frames = [first, ...container.batch([item('a', 'x', meta)], key, change ? { change } : {}, [first])];
  const { status, extended, message } = await account.upload([account.update(container, frames)]);
  return `${status}/${extended ?? ''} ${message.Entries?.at(-1)?.Result ?? ''}`;
}
const header =
  (members: object): NonNullable<BatchChoices['change']> =>
  ([old, payload, trailer]): Wire => [{ ...(old as object), ...members }, payload, trailer];

describe('text that a database may not like', () => {
  it('a key with a zero character, or half a surrogate: taken or refused, never 500', async () => {
    for (const UniqueID of ['a\u0000b', '\u0000', '\ud800', 'a\udc00b']) {
      expect(await upload(undefined, { UniqueID })).toMatch(/^(201|400)\//);
    }
  });

  it('the same in members that nobody judges, in kids, in event and type', async () => {
    const odd = 'a\u0000\ud800b';
    for (const members of [
      { Unheard: odd },
      { [odd]: 1 },
      { EnvelopeID: odd },
      { recipients: [{ kid: odd, epk: { PublicKeyECDH: { crv: 'Ed448', Public: 'AA' } } }] },
    ]) {
      expect(await upload(header(members))).toMatch(/^(201|400)\//);
    }
    expect(await upload(undefined, { Event: odd })).toMatch(/^400\/(13)? Reject/);
    expect(await upload(undefined, { cty: odd, MessageType: odd })).toMatch(/^(201|400)\//);
  });

  it('the same in the members of requests', async () => {
    const odd = 'a\u0000\ud800b';
    expect((await account.status({ Account: `${odd}@example.com` })).status).toBeLessThan(500);
    expect([400, 403]).toContain((await account.status({ DeviceUDF: odd })).status);
    expect([201, 400]).toContain((await account.status({ Catalogs: [odd] })).status);
    expect([400, 404]).toContain((await account.download([{ Container: odd }])).status);
    expect([400, 403]).toContain((await account.upload([{ Container: odd, Index: 0, Envelopes: [[{}, '']] }])).status);
  });

  it('the same in profiles', async () => {
    const person = newPerson(newAddress());
    const members = {
      Updated: '2026-01-01T00:00:00Z',
      KeyOfflineSignature: publicKey(person.meshOffline),
      KeysOnlineSignature: [publicKey(person.meshOnline)],
      Names: ['a\u0000b', '\ud800'],
    };
    const profileMesh = signObject(tagged('ProfileMesh', members), [person.meshOffline]);
    const answer = await createAccount(peer, { ...person, profileMesh });
    expect([201, 400]).toContain(answer.status);
  });
});

describe('numbers', () => {
  it('[R095] an index that is no index: 400 or 409', async () => {
    for (const Index of [-1, 1.5, 2 ** 53, 1e21, '1', null, 4_294_967_297]) {
      expect([Index, await upload(header({ ContainerInfo: { Index } }))]).toEqual([
        Index,
        expect.stringMatching(/^(400|409)\//),
      ]);
    }
  });

  it('[R095] First and Previous that are no indexes', async () => {
    for (const Previous of [-1, 1.5, 2 ** 53 - 1, 2 ** 53, '1']) {
      expect(await upload(undefined, { Event: 'Update', First: 1, Previous })).toMatch(/^(400|409)\//);
    }
  });

  it('[R215] [R217] constraints that are none, or endless', async () => {
    const select = [{ Container: 'mmm_Device' }];
    for (const value of [-1, 0, 2 ** 53 - 1]) {
      const answer = await account.download(select, { ConstraintsPost: { MaxEntries: value, BytesMax: value } });
      expect([201, 400]).toContain(answer.status);
    }
  });

  it('an update’s Index that is none', async () => {
    const container = new Container('app_Number', account.subject);
    const first = container.opening(account.device.signature);
    for (const Index of [-1, 2 ** 53 - 1]) {
      const answer = await account.upload([{ Container: 'app_Number', Index, Envelopes: [first] }]);
      expect([400, 409]).toContain(answer.status);
    }
  });
});

describe('structures', () => {
  it('[R099] metadata that is no object, or nested without end: 400/13 or 400', async () => {
    for (const text of [
      '[]',
      '1',
      'null',
      '{',
      `{"x":${'['.repeat(1000)}${']'.repeat(1000)}}`,
      '{"UniqueID":1,"Event":"New"}',
      '\u0000',
    ]) {
      expect([text.slice(0, 20), await upload(header({ ContentMetaData: b64(utf8(text)) }))]).toEqual([
        text.slice(0, 20),
        expect.stringMatching(/^400\//),
      ]);
    }
  });

  it('[S20] a member twice in the header of a frame: 400', async () => {
    names += 1;
    const container = new Container(`app_Odd${names}`, account.subject);
    const id = newId();
    const wire = JSON.stringify(container.opening(account.device.signature)).replace('{"dig":', '{"dig":"S256","dig":');
    const update = `{"Container":"${container.name}","Index":0,"Envelopes":[${wire}]}`;
    const payloadText = `{"Upload":{"Service":"example.com","ID":"${b64(id)}","Account":"${account.person.address}","Updates":[${update}]}}`;
    const sent = makeRequest({ tag: 'Upload', id, payloadText, signers: [account.signer] });
    expect((await peer.send(sent)).status).toBe(400);
  });

  it('one container in two updates that fit: taken in order; that do not: refused', async () => {
    const [one, two] = ['app_TwiceA', 'app_TwiceB'].map((name) => new Container(name, account.subject)) as [
      Container,
      Container,
    ];
    const key = account.device.signature;
    const first = one.opening(key);
    const rest = one.batch([item('a', 'x')], key, {}, [first]);
    const fits = [
      { Container: one.name, Index: 0, Envelopes: [first] },
      { Container: one.name, Index: 1, Envelopes: rest },
    ];
    expect((await account.upload(fits)).status).toBe(201);
    const frames = [two.opening(key), two.opening(key)];
    const clash = frames.map((frame) => ({ Container: two.name, Index: 0, Envelopes: [frame] }));
    expect(codesOf(await account.upload(clash))).toMatchObject({ status: 409, extended: 12 });
  });

  it('updates that are empty, or nameless: 400', async () => {
    for (const update of [
      {},
      { Container: 'app_None' },
      { Envelopes: [[{}, '']] },
      { Container: 'app_None', Index: 0, Envelopes: [] },
    ]) {
      expect([201, 400]).toContain((await account.upload([update])).status);
    }
    const status = await account.status({ Catalogs: ['app_None'] });
    expect(status.message.ContainerStatus ?? []).toEqual([]);
  });

  it('a device entry that is something else, or holds another’s profile: 400', async () => {
    const device = newDevice(account.person);
    const whole = deviceEntry(account.person, device);
    const text = new TextDecoder().decode(whole.payload);
    const changes = [
      '{}',
      '[]',
      'x',
      text.replace('CatalogedDevice', 'CatalogedContact'),
      text.replace('"EnvelopedProfileDevice"', '"Unheard"'),
      // with no connection at all, nothing makes it a device of this Mesh
      text.replace('"Accounts"', '"Unheard"').replace('"EnvelopedConnectionDevice"', '"Unheard"'),
      text.replace('"EnvelopedConnectionAccount"', '"Unheard"').replace('"EnvelopedConnectionDevice"', '"Unheard"'),
      text.replace(account.person.accountOffline.udf, newKey().udf).replace('"EnvelopedConnectionDevice"', '"Unheard"'),
    ];
    for (const change of changes) {
      const answer = await account.append('mmm_Device', [{ ...whole, payload: utf8(change) }]);
      expect([change.slice(0, 30), answer.status]).toEqual([change.slice(0, 30), 400]);
    }
    expect((await account.append('mmm_Device', [whole])).status).toBe(201);
  });

  it('[S04] a second device under the UDF of the first: refused, or an Update of it', async () => {
    const again = deviceEntry(account.person, account.device);
    expect(codesOf(await account.append('mmm_Device', [again]))).toMatchObject({ status: 409, extended: 13 });
  });
});

describe('order of checks (encoding 6.6)', () => {
  const send = async (parts: Partial<Parameters<typeof makeRequest>[0]>, headers: Record<string, string> = {}) => {
    const message = { Account: account.person.address };
    const sent = makeRequest({ tag: 'Status', message, signers: [account.signer], ...parts });
    const answer = await post(running.provider, sent.body, { headers });
    return `${answer.status}/${peek(answer.body).message.StatusExtended ?? ''}`;
  };
  const late = newId(Date.now() - 400_000);
  const wrongDigest = new Uint8Array(64);
  const forged = () => [{ ...account.signer, key: newKey(), kid: account.device.authentication.udf }];

  it('number of entries, then Service, then time, then digest, then signature', async () => {
    const five = Array.from({ length: 5 }, () => forged()[0] as ReturnType<typeof forged>[number]);
    expect(await send({ signers: five, service: 'elsewhere.example', id: late })).toBe('400/');
    expect(await send({ signers: forged(), service: 'elsewhere.example', id: late, payloadDigest: wrongDigest })).toBe(
      '401/10',
    );
    expect(await send({ signers: forged(), id: late, payloadDigest: wrongDigest })).toBe('401/21');
    expect(await send({ signers: forged(), payloadDigest: wrongDigest })).toBe('400/11');
    expect(await send({ signers: forged() })).toBe('401/10');
  });

  it('signature, then ID, then authorisation', async () => {
    const id = newId();
    expect(await send({ id })).toBe('201/');
    const message = { Account: account.person.address, DeviceUDF: newKey().udf };
    expect(await send({ id, message, signers: forged() })).toBe('401/10');
    expect(await send({ id, message })).toBe('401/20');
    expect(await send({ message })).toBe('403/2');
  });
});

describe('afterwards', () => {
  it('the service answers as before', async () => {
    expect((await account.status()).status).toBe(201);
    expect((await account.append('mmm_Credential', [item('a', 'x')])).status).toBe(201);
  });
});
