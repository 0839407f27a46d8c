/** What routers ask of a shard beside reading and writing: Status that waits, tickets, who asks; over the real rpc. */
import type { StatusResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { entry, mark, opening, Person, selfEntry, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitingRequests } from '../waiting-requests.js';
import { identity, rpcEnvelope, rpcPrincipal, ShardKit } from './shard-kit.js';

let kit: ShardKit;
let shard: Awaited<ReturnType<ShardKit['start']>>;
const alice = new Person('alice');
const device = alice.device();
let devices: TestWriter;
let writer: TestWriter;

beforeAll(async () => {
  kit = await ShardKit.make();
  shard = await kit.start();
  devices = await kit.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  await kit.upload(device, 'mmm_Credential', writer.write([opening()]).envelopes);
});

afterAll(() => kit.remove());

const known = async () => (await kit.status(device)).containers;
const untilWaiting = (count: number) => expect.poll(() => waitingRequests([shard.adminUrl])).toBe(count);
const statusOf = (answer: { result?: { $case: string; value: unknown } | undefined }) =>
  answer.result?.$case === 'status' ? (answer.result.value as StatusResult) : undefined;
const append = () => {
  const { envelopes } = writer.write([entry({ UniqueID: `k${writer.trees.log.frameCount}`, Event: 'New' })]);
  return kit.upload(device, 'mmm_Credential', envelopes);
};

describe('[S83] a waiting Status over the rpc', () => {
  test('is woken by a commit, and is late for no deadline', async () => {
    const waiting = kit.statusAnswer(device, { known: await known(), waitMs: 55_000 }, 60_000);
    await untilWaiting(1);
    const start = performance.now();
    await append();
    const answer = await waiting;
    // Long before its time is over.
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(answer.outcome).toMatchObject({ status: 201 });
    expect(statusOf(answer)?.containers.map(({ container }) => container)).toEqual(['mmm_Credential']);
  });

  test('a router that gives up makes room for the next wait', async () => {
    const all = await known();
    const ask = (signal?: AbortSignal) => {
      const value = {
        ...{ principal: rpcPrincipal(device), deviceUdf: '', profileMasterDigest: new Uint8Array(0) },
        ...{ containers: [], known: all, heads: false, waitMs: 20_000 },
      };
      const transaction = { $case: 'status', value } as const;
      const asked = { mapVersion: 0, identity: identity(), describePrincipal: false, transaction };
      return kit.link().transact(asked, 30_000, signal);
    };
    const leaving = new AbortController();
    const gone = ask(leaving.signal).catch(() => 'gone');
    const second = ask();
    await untilWaiting(2);
    expect((await ask()).outcome).toMatchObject({ status: 429, error: 'rate-limited' });
    leaving.abort(new Error('the client has left'));
    expect(await gone).toBe('gone');
    await untilWaiting(1);
    const third = ask();
    await untilWaiting(2);
    await append();
    expect((await Promise.all([second, third])).map(({ outcome }) => outcome?.status)).toEqual([201, 201]);
  });

  test('a device that is revoked meanwhile, and a shard that stops, end it', async () => {
    const second = alice.device('second');
    const listed = devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]).envelopes;
    await kit.upload(device, 'mmm_Device', listed);
    const others = (await known()).filter(({ container }) => container !== 'mmm_Device');
    const waiting = kit.statusAnswer(second, { known: others, waitMs: 20_000 }, 30_000);
    await untilWaiting(1);
    const removed = devices.write([entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 })]).envelopes;
    await kit.upload(device, 'mmm_Device', removed);
    expect((await waiting).outcome).toMatchObject({ status: 401, error: 'device-revoked' });
    const last = kit.statusAnswer(device, { known: await known(), waitMs: 20_000 }, 30_000);
    await untilWaiting(1);
    // As a process that is told to end: its routers stay.
    const stopped = shard.stop();
    expect((await last).outcome).toMatchObject({ status: 503, error: 'shutting-down' });
    await stopped;
    await kit.stop();
    await kit.start();
  });
});

describe('tickets', () => {
  test('[S31] [S33] who asks is told on success; a ticket of before a new connection is void after a restart too', async () => {
    const described = { accountUdf: alice.accountUdf, deviceUdf: device.udf };
    expect((await kit.statusAnswer(device)).principal).toEqual(described);
    const bearer = { ...rpcPrincipal(device), connection: undefined };
    const asked = (ticketIssuedMs: number) =>
      kit.transact({ $case: 'authenticate', value: { principal: { ...bearer, ticketIssuedMs } } });
    expect((await asked(Date.now())).outcome).toMatchObject({ status: 201 });
    expect((await asked(1)).outcome).toMatchObject({ status: 401, error: 'ticket' });
    await kit.stop();
    await kit.start();
    expect((await asked(Date.now())).outcome).toMatchObject({ status: 201 });
    expect((await asked(1)).outcome).toMatchObject({ status: 401, error: 'ticket' });
  });

  test('[S25] [S33] DeleteAccount is refused without an administrator’s signature in the request itself', async () => {
    const signers = [{ key: device.authentication, connection: device.connection }];
    const request = await alice.request('DeleteAccount', { Account: alice.address }, signers, Date.now());
    const value = { account: alice.address, request: rpcEnvelope(request) };
    expect((await kit.transact({ $case: 'deleteAccount', value })).outcome).toMatchObject({
      status: 403,
      error: 'administrator-required',
    });
  });
});

describe('own entries', () => {
  test('[R132] [R266] messages and marks are filed, and what was read is left out on request', async () => {
    const self = (draft: Parameters<typeof selfEntry>[2]) =>
      rpcEnvelope(selfEntry(alice.accountUdf, device.signature, draft));
    const notes = ['n1', 'n2', 'n3'].map((uniqueId) => self({ uniqueId, type: 'RequestTask' }));
    const send = (envelopes: ReturnType<typeof self>[]) =>
      kit.upload(device, 'unused', [], identity(), { updates: [], self: envelopes });
    expect((await send(notes)).outcome).toMatchObject({ status: 201 });
    await send([self(mark('m1', 'Read', 'n1')), self(mark('m2', 'Deleted', 'n2'))]);
    const bodies = async (...filters: string[]) => {
      const { frames } = await kit.download(device, 'mmm_Inbound', {}, { indexMin: 1, filters });
      return frames.map(({ payload }) => payload !== undefined);
    };
    expect(await bodies()).toEqual([true, true, true, true, true]);
    expect(await bodies('Read')).toEqual([false, true, true, true, true]);
    expect(await bodies('Read', 'Deleted')).toEqual([false, false, true, true, true]);
    await send([self(mark('m3', 'Unread', 'n1', 'n2'))]);
    expect(await bodies('Read', 'Deleted')).toEqual([true, true, true, true, true, true]);
  });
});
