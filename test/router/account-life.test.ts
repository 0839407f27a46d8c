/** The life of an account over the wire: router, shards, Postgres, all real. */
import { HttpsPoster } from '@meshd/binding/http-client';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { makeRequestId } from '@meshd/binding/request-id';
import { type RequestSigner, type SentRequest, signRequest } from '@meshd/binding/request-sign';
import { checkResponse, openResponse } from '@meshd/binding/response-open';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, opening, Person, type TestDevice, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const domain = 'example.com';
let provider: TestProvider;
let link: MeshConnection;
let poster: HttpsPoster;

beforeAll(async () => {
  provider = await startTestProvider({
    domains: [domain, 'b.example'],
    router: { sourceLimits: { signedRefusalsPerSecond: 1000 } },
  });
  link = connect(domain);
  poster = new HttpsPoster({ domain, url: provider.url, ca: provider.ca });
});
afterAll(async () => {
  poster.close();
  await link.close();
  await provider.stop();
});

function connect(name: string): MeshConnection {
  return new MeshConnection({ domain: name, url: provider.url, ca: provider.ca, pins: memoryPinStore() });
}

const connected = (device: TestDevice): RequestSigner => ({
  key: device.authentication,
  connection: device.connection,
});
const creation = (person: Person) => ({
  ServiceID: person.address,
  SignedProfileMesh: person.profileMesh,
  SignedAssertionAccount: person.profileAccount,
});

async function call<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  signers: RequestSigner[],
  id?: Uint8Array,
) {
  const answer = await link.call(transaction, message, signers, id === undefined ? {} : { id });
  return { status: answer.status, extended: answer.statusExtended, message: answer.message };
}

const create = (person: Person, id?: Uint8Array) =>
  call('CreateAccount', creation(person), [{ key: person.meshOffline }], id);
const status = (person: Person, device: TestDevice) => call('Status', { Account: person.address }, [connected(device)]);

function upload(
  person: Person,
  device: TestDevice,
  container: string,
  envelopes: readonly EnvelopeOctets[],
  id?: Uint8Array,
) {
  const message = { Account: person.address, Updates: [{ Container: container, Envelopes: [...envelopes] }] };
  return call('Upload', message, [connected(device)], id);
}

/** A person with an account and one listed device. */
async function joined(name: string) {
  const person = new Person(name);
  const device = person.device();
  expect((await create(person)).status).toBe(201);
  const devices = new TestWriter('mmm_Device', person.accountUdf, person.admin);
  const { envelopes } = devices.write([opening(), entry({ UniqueID: device.udf, Event: 'New' }, device.entry)]);
  expect((await upload(person, device, 'mmm_Device', envelopes)).status).toBe(201);
  return { person, device, devices };
}

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });

describe('an account', () => {
  it('[R109] [R111] [R112] [R115] [R134] [R136] [R227] [R230] [R231] [R244] [R245] [R263] [R265] [R271] [R288] [R296] [R297] is made, used, and ended', async () => {
    const { person, device } = await joined('alice');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const { envelopes } = writer.write([opening(), credential('a'), credential('b')]);
    const stored = await upload(person, device, 'mmm_Credential', envelopes);
    expect(stored.message.Entries).toEqual(
      [0, 1, 2].map((at) => ({ IndexRequest: at, IndexContainer: at, Result: 'Accept' })),
    );
    const state = await status(person, device);
    const credentials = state.message.ContainerStatus?.find(({ Container }) => Container === 'mmm_Credential');
    expect(credentials?.Index).toBe(3);
    expect([...(credentials?.Digest ?? [])]).toEqual([...(apex(writer.trees.tree) ?? [])]);
    const select = { Account: person.address, Select: [{ Container: 'mmm_Credential', IndexMin: 1 }] };
    const { message } = await call('Download', select, [connected(device)]);
    expect(message.Updates?.[0]?.Envelopes?.map(({ payload }) => [...(payload ?? [])])).toEqual(
      envelopes.slice(1).map(({ payload }) => [...(payload ?? [])]),
    );
    const signers = [connected(device), { key: person.admin }];
    expect((await call('DeleteAccount', { Account: person.address }, signers)).status).toBe(201);
    expect((await status(person, device)).status).toBe(401);
  });

  it('[R290] [R294] [R222] [R223] [R224] is refused for a bad name, with the reason', async () => {
    const refused = async (ServiceID: string | undefined) => {
      const person = new Person('named');
      const message = { ...creation(person), ServiceID };
      const {
        status: code,
        extended,
        message: answer,
      } = await call('CreateAccount', message, [{ key: person.meshOffline }]);
      return [code, extended, answer.Reason];
    };
    expect(await refused(undefined)).toMatchObject([400, undefined, expect.any(String)]);
    expect(await refused('a b@example.com')).toMatchObject([403, 9, expect.stringContaining('" "')]);
    expect(await refused(`${'x'.repeat(65)}@example.com`)).toMatchObject([403, 9, expect.any(String)]);
    expect(await refused('../x@example.com')).toMatchObject([403, 9, expect.stringContaining('/')]);
    expect(await refused('postmaster@example.com')).toMatchObject([403, 9, expect.any(String)]);
    expect(await refused('named@elsewhere.example')).toMatchObject([404, undefined, expect.any(String)]);
  });

  it('cannot be taken by another Mesh, and is made once', async () => {
    const { person } = await joined('taken');
    expect((await create(person)).status).toBe(201);
    const thief = new Person('thief', { address: person.address });
    expect(await create(thief)).toMatchObject({ status: 409, extended: 1 });
  });

  it('of nobody answers like one of somebody else', async () => {
    const { device } = await joined('known');
    const stranger = new Person('stranger').device();
    const answers = [
      await call('Status', { Account: 'nobody@example.com' }, [connected(stranger)]),
      await call('Status', { Account: 'known@example.com' }, [connected(stranger)]),
      await call('Status', { Account: 'alice2@example.com' }, [connected(device)]),
    ];
    for (const { status: code, extended, message } of answers) {
      expect([code, extended, message.StatusDescription]).toEqual([
        401,
        undefined,
        answers[0]?.message.StatusDescription,
      ]);
    }
  });
});

describe('[S27] a writing request', () => {
  it('sent twice has one effect and two answers, each signed for its own request', async () => {
    const { person, device } = await joined('twice');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const { envelopes } = writer.write([opening(), credential('a')]);
    const id = makeRequestId(Date.now(), systemRandom);
    const first = await upload(person, device, 'mmm_Credential', envelopes, id);
    const second = await upload(person, device, 'mmm_Credential', envelopes, id);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.message.Entries).toEqual(first.message.Entries);
    const other = await upload(person, device, 'mmm_Credential', writer.seal([credential('b')]).envelopes, id);
    expect(other).toMatchObject({ status: 401, extended: 20 });
  });

  it('answers the very octets of a repetition from the store', async () => {
    const { person, device } = await joined('replayed');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const message = {
      Account: person.address,
      Updates: [{ Container: 'mmm_Credential', Envelopes: [...writer.write([opening()]).envelopes] }],
    };
    const { body, sent } = await signed('Upload', message, [connected(device)]);
    const hello = await link.hello();
    for (let at = 0; at < 2; at += 1) {
      const answer = await poster.post(body, 5000);
      const opened = openResponse('Upload', answer.body);
      const state = await link.call('Status', { Account: person.address }, [connected(device)]);
      await checkResponse(opened, sent, state.host.key);
      expect(opened.message.Entries).toEqual([{ IndexRequest: 0, IndexContainer: 0, Result: 'Accept' }]);
    }
    expect(hello.firstUse).toBe(false);
  });
});

describe('[S24] [S25] a request', () => {
  it('with an older connection of the same device is refused', async () => {
    const { person, device } = await joined('older');
    const before = person.device('first', [{ Name: 'mmm_Credential' }]);
    expect(before.authentication.publicKey.equals(device.authentication.publicKey)).toBe(true);
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const { envelopes } = writer.write([opening()]);
    expect((await upload(person, before, 'mmm_Credential', envelopes)).status).toBe(401);
    expect((await upload(person, device, 'mmm_Credential', envelopes)).status).toBe(201);
    // Status alone tells it, and of nothing but the connection that is in force (R124).
    const { status: code, message } = await status(person, before);
    expect([code, message.EnvelopedCatalogEntryDevice]).toEqual([201, expect.anything()]);
  });

  it('to delete the account needs the signature of an administrator', async () => {
    const { person, device } = await joined('kept');
    const deletion = (signers: RequestSigner[]) => call('DeleteAccount', { Account: person.address }, signers);
    expect(await deletion([connected(device)])).toMatchObject({ status: 403, extended: 3 });
    expect(await deletion([connected(device), { key: device.signature }])).toMatchObject({ status: 403, extended: 3 });
    expect((await status(person, device)).status).toBe(201);
  });

  it('for another account than the connection is of is refused', async () => {
    const { device } = await joined('mine');
    const { person: other } = await joined('yours');
    expect((await status(other, device)).status).toBe(401);
  });
});

describe('uploads at fault', () => {
  it('[S42] [R267] name the entry, the reason, and change nothing', async () => {
    const { person, device } = await joined('faults');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    await upload(person, device, 'mmm_Credential', writer.write([opening(), credential('a')]).envelopes);
    const unsigned = writer.seal([credential('b'), credential('c')]).envelopes.slice(0, 1);
    const tampered = writer
      .seal([credential('b')])
      .envelopes.map((each) => ({ ...each, payload: Buffer.from('other') }));
    const cases: [string, readonly EnvelopeOctets[], number, number][] = [
      ['no manifest', unsigned, 400, 23],
      ['digest', tampered, 400, 11],
      ['foreign signer', writer.seal([credential('b')], { signer: person.meshOffline }).envelopes, 403, 2],
      ['other container', writer.seal([credential('b')], { container: 'mmm_Network' }).envelopes, 400, 23],
      ['event', writer.seal([entry({ UniqueID: 'b', Event: 'Destroy' })]).envelopes, 400, 13],
      ['key there already', writer.seal([credential('a')]).envelopes, 409, 13],
      ['index', writer.seal([credential('b'), credential('c')]).envelopes.slice(1), 409, 12],
    ];
    for (const [name, envelopes, code, extended] of cases) {
      const answer = await upload(person, device, 'mmm_Credential', envelopes);
      expect([name, answer.status, answer.extended]).toEqual([name, code, extended]);
      expect(answer.message.Entries?.length).toBeGreaterThan(0);
      expect(answer.message.Entries?.[0]?.Result).toBe(code === 409 ? 'Conflict' : 'Reject');
    }
    const state = await status(person, device);
    expect(state.message.ContainerStatus?.find(({ Container }) => Container === 'mmm_Credential')?.Index).toBe(2);
  });

  it('say what was wrong with each entry to whoever names the feature, and to nobody else', async () => {
    const { person, device } = await joined('features');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    await upload(person, device, 'mmm_Credential', writer.write([opening(), credential('a')]).envelopes);
    const Updates = [{ Container: 'mmm_Credential', Envelopes: [...writer.seal([credential('a')]).envelopes] }];
    const entriesFor = async (Features: string[]) => {
      const message = { Account: person.address, Features, Updates };
      return (await call('Upload', message, [connected(device)])).message.Entries;
    };
    expect(await entriesFor(['entry'])).toEqual([{ IndexRequest: 0, Result: 'Conflict', StatusExtended: 13 }]);
    expect(await entriesFor([])).toEqual([{ IndexRequest: 0, Result: 'Conflict' }]);
  });

  it('[R308] are refused for names that no container can have', async () => {
    const { person, device } = await joined('paths');
    const { envelopes } = new TestWriter('x', person.accountUdf, device.signature).write([opening()]);
    for (const name of ['../x', 'mmm_Account', 'mmm_Unknown', 'x', 'a_b/c', '']) {
      const answer = await upload(person, device, name, envelopes);
      expect([name, Math.floor(answer.status / 100)]).toEqual([name, 4]);
    }
  });

  it('over the bounds are refused with 413', async () => {
    const { person, device } = await joined('large');
    const frame = { header: Buffer.from('{}'), payload: Buffer.alloc(1), trailer: null };
    expect((await upload(person, device, 'mmm_Credential', Array(1001).fill(frame))).status).toBe(413);
    const large = { ...frame, payload: Buffer.alloc(8 * 1024 * 1024 + 1) };
    expect((await upload(person, device, 'mmm_Credential', [large])).status).toBe(413);
  });
});

describe('several domains', () => {
  it('[R043] are one provider: each has its accounts', async () => {
    const other = connect('b.example');
    const person = new Person('alice', { address: 'alice@b.example' });
    const made = await other.call('CreateAccount', creation(person), [{ key: person.meshOffline }]);
    expect(made.status).toBe(201);
    const answer = await other.call('Status', { Account: person.address }, [connected(person.device())]);
    expect(answer.message.ContainerStatus?.map(({ Container }) => Container).toSorted()).toEqual([
      'mmm_Archive',
      'mmm_Inbound',
      'mmm_Outbound',
    ]);
    await other.close();
  });
});

describe('[R191] transactions', () => {
  it('come in any order over changing connections', async () => {
    const { person, device } = await joined('orders');
    const links = [connect(domain), connect(domain), connect(domain)];
    const asks = Array.from({ length: 30 }, async (_, at) => {
      const each = links[(at * 7) % links.length] as MeshConnection;
      const message = { Account: person.address };
      const answer = await each.call(at % 3 === 0 ? 'Download' : 'Status', message, [connected(device)]);
      return answer.status;
    });
    expect(new Set(await Promise.all(asks))).toEqual(new Set([201]));
    for (const each of links) await each.close();
  });
});

function signed<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  signers: RequestSigner[],
): Promise<{ body: Uint8Array; sent: SentRequest }> {
  return signRequest({ transaction, message, signers, service: domain, nowMs: Date.now(), random: systemRandom });
}
