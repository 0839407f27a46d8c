/** The shard's transactions over its rpc, on a real database, with restarts in between. */
import { openEnvelope } from '@meshd/dare/envelope';
import { apex, appendDare, emptyDareTree } from '@meshd/dare/merkle';
import { entry, opening, Person, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identity, rpcEnvelope, ShardKit } from './shard-kit.js';

let kit: ShardKit;

beforeAll(async () => {
  kit = await ShardKit.make();
  await kit.start();
});

afterAll(() => kit.remove());

async function joined(name: string) {
  const person = new Person(name);
  const device = person.device();
  const made = await kit.create(person);
  expect(made.outcome).toMatchObject({ status: 201, error: '' });
  const devices = new TestWriter('mmm_Device', person.accountUdf, person.admin);
  const { envelopes } = devices.write([opening(), entry({ UniqueID: device.udf, Event: 'New' }, device.entry)]);
  const listed = await kit.upload(device, 'mmm_Device', envelopes);
  expect(listed.outcome).toMatchObject({ status: 201, error: '' });
  return { person, device, devices };
}

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });

describe('an account on a shard', () => {
  test('[R133] [R228] [R229] what is uploaded is downloaded again, verbatim, also after a restart', async () => {
    const { person, device } = await joined('alice');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const first = writer.write([opening(), ...Array.from({ length: 50 }, (_, at) => credential(`a${at}`))]).envelopes;
    const uploaded = await kit.upload(device, 'mmm_Credential', first);
    expect(uploaded.result).toMatchObject({ $case: 'upload', value: { entries: { length: 51 } } });
    await kit.stop();
    await kit.start();
    const second = writer.write([entry({ UniqueID: 'a7', Event: 'Update', First: 8, Previous: 8 })]).envelopes;
    expect((await kit.upload(device, 'mmm_Credential', second)).outcome).toMatchObject({ status: 201 });
    const { frames, parts } = await kit.download(device, 'mmm_Credential');
    expect(
      frames.map(({ header, payload, trailer }) => [header, payload, trailer].map((part) => part && [...part])),
    ).toEqual(
      [...first, ...second].map(({ header, payload, trailer }) =>
        [header, payload, trailer].map((part) => part && [...part]),
      ),
    );
    expect(parts.at(-1)).toMatchObject({ $case: 'end', value: { frameCount: 52, cut: false } });
    const status = (await kit.status(device)).containers.find(({ container }) => container === 'mmm_Credential');
    expect(status?.index).toBe(52);
    expect([...(status?.digest ?? [])]).toEqual([...(apex(writer.trees.tree) ?? [])]);
  });

  test('[S27] a stored answer survives a restart; another digest under its ID is refused', async () => {
    const { person, device } = await joined('bob');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const { envelopes } = writer.write([opening(), credential('b')]);
    const asked = identity();
    const answer = await kit.upload(device, 'mmm_Credential', envelopes, asked);
    await kit.stop();
    await kit.start();
    const again = await kit.upload(device, 'mmm_Credential', envelopes, asked);
    expect(again.result).toEqual(answer.result);
    const other = { id: asked.id, payloadDigest: identity().payloadDigest };
    const reused = await kit.upload(device, 'mmm_Credential', envelopes, other);
    expect(reused.outcome).toMatchObject({ status: 401, error: 'request-id-reused' });
  });

  test('[R273] of two writers at one place exactly one is accepted, the other is told of the conflict', async () => {
    const { person, device } = await joined('carol');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    await kit.upload(device, 'mmm_Credential', writer.write([opening()]).envelopes);
    const batches = ['x', 'y', 'z'].map((id) => writer.seal([credential(id)]).envelopes);
    const answers = await Promise.all(batches.map((envelopes) => kit.upload(device, 'mmm_Credential', envelopes)));
    expect(answers.map(({ outcome }) => outcome?.status).sort()).toEqual([201, 409, 409]);
    const refused = answers.find(({ outcome }) => outcome?.status === 409);
    expect(refused).toMatchObject({
      outcome: { error: 'index-mismatch' },
      result: { value: { entries: [{ indexRequest: 0, result: 'Conflict', statusExtended: 12 }] } },
    });
    expect((await kit.download(device, 'mmm_Credential')).frames).toHaveLength(2);
  });

  test('[R296] [S25] deletion: administrator’s signature, stored answer, 401 afterwards', async () => {
    const { person, device } = await joined('dave');
    const request = async (signers: Parameters<Person['request']>[2]) =>
      rpcEnvelope(await person.request('DeleteAccount', { Account: person.address }, signers, Date.now()));
    const own = { key: device.authentication, connection: device.connection };
    const send = async (envelope: Awaited<ReturnType<typeof request>>) =>
      (await kit.transact({ $case: 'deleteAccount', value: { account: person.address, request: envelope } })).outcome;
    expect(await send(await request([own]))).toMatchObject({ status: 403, error: 'administrator-required' });
    const proved = await request([own, { key: person.admin }]);
    expect(await send(proved)).toMatchObject({ status: 201 });
    expect(await send(proved)).toMatchObject({ status: 201 });
    expect(await send(await request([own, { key: person.admin }]))).toMatchObject({ status: 401 });
    const refused = await kit.upload(device, 'mmm_Credential', []);
    expect(refused.outcome).toMatchObject({ status: 400 });
    await expect(kit.status(device)).rejects.toThrow('not-authenticated');
    expect((await kit.create(new Person('dave'))).outcome).toMatchObject({ status: 409, error: 'name-taken' });
  });

  test('[S24] revocation acts on the next request, and stays after a restart', async () => {
    const { person, device, devices } = await joined('erin');
    const second = person.device('second');
    await kit.upload(
      device,
      'mmm_Device',
      devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]).envelopes,
    );
    expect((await kit.status(second)).containers).toHaveLength(4);
    const gone = entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 });
    await kit.upload(device, 'mmm_Device', devices.write([gone]).envelopes);
    await expect(kit.status(second)).rejects.toThrow('device-revoked');
    await kit.stop();
    await kit.start();
    await expect(kit.status(second)).rejects.toThrow('device-revoked');
    expect((await kit.status(device)).containers).toHaveLength(4);
  });

  test('parts and bounds of a download', async () => {
    const { person, device } = await joined('frank');
    const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
    const entries = Array.from({ length: 20 }, (_, at) => credential(`f${at}`));
    await kit.upload(device, 'mmm_Credential', writer.write([opening(), ...entries]).envelopes);
    const cut = await kit.download(device, 'mmm_Credential', { entriesMax: 5 });
    expect(cut.frames).toHaveLength(5);
    expect(cut.parts.at(-1)).toMatchObject({ value: { cut: true } });
    const bytes = await kit.download(device, 'mmm_Credential', { payloadBytesMax: 96 });
    expect(bytes.frames).toHaveLength(3);
    const heads = await kit.download(device, 'mmm_Credential', { payload: false });
    expect(heads.frames.every((frame) => frame.payload === undefined)).toBe(true);
    const last = openEnvelope({
      header: heads.frames.at(-1)?.header ?? new Uint8Array(0),
      payload: null,
      trailer: null,
    });
    expect([last.signatures.length, last.payloadDigest?.length]).toEqual([1, 64]);
    const nothing = await kit.download(device, 'mmm_Contact');
    expect(nothing.parts).toMatchObject([{ $case: 'outcome', value: { status: 404, error: 'container-unknown' } }]);
  });
});

describe('many at once', () => {
  test('accounts made together leave one whole catalog of accounts', async () => {
    const people = Array.from({ length: 24 }, (_, at) => new Person(`many${at}`));
    const made = await Promise.all(people.map((person) => kit.create(person)));
    expect(made.every(({ outcome }) => outcome?.status === 201)).toBe(true);
    const devices = people.map((person) => person.device());
    const uploads = await Promise.all(
      people.map((person, at) => {
        const device = devices[at] as (typeof devices)[number];
        const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
        return kit.upload(device, 'mmm_Credential', writer.write([opening(), credential('a')]).envelopes);
      }),
    );
    expect(uploads.every(({ outcome }) => outcome?.status === 201)).toBe(true);
  });

  test('apexes that the service tells are those of what it gives out', async () => {
    const { device } = await joined('grace');
    for (const { container, digest } of (await kit.status(device)).containers) {
      const { frames } = await kit.download(device, container);
      const { sha512 } = await import('@meshd/crypto/digest');
      const tree = frames.reduce(
        (state, { payload }) => appendDare(state, sha512(payload ?? new Uint8Array(0))).state,
        emptyDareTree,
      );
      expect([...(apex(tree) ?? [])]).toEqual([...digest]);
    }
  });
});

describe('the process', () => {
  test('answers health, readiness and figures, refusals counted by code', async () => {
    await kit.stop();
    const shard = await kit.start();
    expect((await fetch(`${shard.adminUrl}/readyz`)).status).toBe(200);
    await kit.status(new Person('nobody').device()).catch(() => undefined);
    const figures = await (await fetch(`${shard.adminUrl}/metrics`)).text();
    expect(figures).toContain('meshd_shard_requests_total{transaction="status",code="not-authenticated"} 1');
  });

  test('two processes cannot hold one shard: the second does not start', async () => {
    await expect(
      kit.start(0, { MESHD_RPC_LISTEN: '127.0.0.1:0', MESHD_ADMIN_LISTEN: '127.0.0.1:0' }),
    ).rejects.toThrow();
  });
});

describe('two shards', () => {
  test('an account of the other shard is told apart, with the version of the map', async () => {
    const two = await ShardKit.make(2);
    try {
      await two.start(0);
      await two.start(1);
      const people = Array.from({ length: 8 }, (_, at) => new Person(`split${at}`));
      for (const person of people) {
        const answers = await Promise.all([two.create(person, 0), two.create(person, 1)]);
        expect(answers.map(({ outcome }) => outcome?.error).sort()).toEqual(['', 'wrong-shard']);
        const misrouted = answers.find(({ outcome }) => outcome?.error === 'wrong-shard');
        expect(misrouted?.outcome?.mapVersion).toBeGreaterThan(0);
      }
    } finally {
      await two.remove();
    }
  });
});
