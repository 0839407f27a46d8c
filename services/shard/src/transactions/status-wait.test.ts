import { decodeEdge } from '@meshd/dare/log-tree';
import { decodeTree } from '@meshd/dare/merkle';
import { statusWaitsPerAccountMax, statusWaitsPerDeviceMax } from '@meshd/limits/limits';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { authenticate } from './authenticate.js';
import { type ContainerStatus, type StatusRequest, status } from './status.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let writer: TestWriter;
const none = new Uint8Array(0);

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  await shard.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  await shard.upload(device, [{ envelopes: writer.write([opening()]).envelopes }]);
});

const ask = (changes: Partial<StatusRequest> = {}, signal?: AbortSignal) => {
  const request: StatusRequest = {
    principal: device.principal,
    deviceUdf: '',
    profileMasterDigest: none,
    containers: [],
    known: [],
    waitMs: undefined,
    heads: false,
    ...changes,
  };
  return status(shard.context, request, signal);
};
const known = async (): Promise<ContainerStatus[]> => [...(await ask()).containers];
const append = () => {
  const { envelopes } = writer.write([entry({ UniqueID: `k${writer.trees.log.frameCount}`, Event: 'New' })]);
  return shard.upload(device, [{ envelopes }]);
};
const untilWaiting = (count: number) => expect.poll(() => shard.context.waits.count, { interval: 1 }).toBe(count);

/** Writes to the device catalog after what is there. */
async function toDevices(drafts: readonly Parameters<TestWriter['write']>[0][number][]) {
  const devices = new TestWriter('mmm_Device', alice.accountUdf, alice.admin);
  const stored = shard.store.stateOf(alice.address)?.containers.get('mmm_Device');
  devices.trees = { tree: decodeTree(stored?.dareTree ?? none), log: decodeEdge(stored?.logTree ?? none) };
  return shard.upload(device, [{ container: 'mmm_Device', envelopes: devices.write(drafts).envelopes }]);
}

describe('Known', () => {
  test('containers that are as the client knows them are left out, without Wait at once', async () => {
    const all = await known();
    expect((await ask({ known: all })).containers).toEqual([]);
    expect((await ask({ known: all.map((each) => ({ ...each, digest: none })) })).containers).toEqual([]);
    await append();
    expect((await ask({ known: all })).containers.map(({ container }) => container)).toEqual(['mmm_Credential']);
    const forked = all.map((each) => ({ ...each, digest: new Uint8Array(64) }));
    expect((await ask({ known: forked })).containers).toHaveLength(all.length);
  });

  test('[R246] the DeviceUDF of another device is refused', async () => {
    expect(await ask({ deviceUdf: device.udf })).toBeDefined();
    expect(await ask({ deviceUdf: device.udf.toLowerCase() })).toBeDefined();
    for (const deviceUdf of [new Person('bob').device().udf, 'nonsense']) {
      await expect(ask({ deviceUdf })).rejects.toMatchObject({ code: 'not-authorised' });
    }
  });
});

describe('[S83] a waiting Status', () => {
  test('answers when a known container grows', async () => {
    const waiting = ask({ known: await known(), waitMs: 10_000 });
    await untilWaiting(1);
    await append();
    expect((await waiting).containers).toMatchObject([{ container: 'mmm_Credential', index: 2 }]);
    expect(shard.context.waits.count).toBe(0);
  });

  test('answers at once where something differs already, and when the time is over', async () => {
    const all = await known();
    await append();
    expect((await ask({ known: all, waitMs: 10_000 })).containers).toHaveLength(1);
    const current = await known();
    expect(
      (await ask({ known: [{ container: 'app_New', index: 3, digest: none }], waitMs: 10_000 })).containers,
    ).toHaveLength(5);
    expect((await ask({ known: current, waitMs: 30 })).containers).toEqual([]);
  });

  test('does not answer for a container that was not named, and wakes for one that is made', async () => {
    const inbound = (await known()).filter(({ container }) => container === 'mmm_Inbound');
    const waiting = ask({ known: [...inbound, { container: 'app_New', index: 0, digest: none }], waitMs: 10_000 });
    let answered = false;
    void waiting.then(() => {
      answered = true;
    });
    await untilWaiting(1);
    const other = ask({ known: await known(), waitMs: 10_000 });
    await untilWaiting(2);
    await append();
    // Woken after the first by the same commit: when it has answered, the first has looked.
    expect((await other).containers.map(({ container }) => container)).toEqual(['mmm_Credential']);
    expect([answered, shard.context.waits.count]).toEqual([false, 1]);
    const notes = new TestWriter('app_New', alice.accountUdf, device.signature);
    await shard.upload(device, [{ container: 'app_New', envelopes: notes.write([opening()]).envelopes }]);
    expect((await waiting).containers.map(({ container }) => container)).toContain('app_New');
  });

  test('the third of a device is too many; an ended one makes room', async () => {
    const all = await known();
    const leave = new AbortController();
    const first = ask({ known: all, waitMs: 10_000 }, leave.signal);
    const second = ask({ known: all, waitMs: 10_000 });
    await untilWaiting(2);
    await expect(ask({ known: all, waitMs: 10_000 })).rejects.toMatchObject({ code: 'rate-limited', status: 429 });
    leave.abort();
    await first;
    const third = ask({ known: all, waitMs: 10_000 });
    await untilWaiting(2);
    await append();
    expect((await Promise.all([second, third])).map(({ containers }) => containers.length)).toEqual([1, 1]);
  });

  test('one more than an account may is too many, however many devices it has', async () => {
    const others = Array.from({ length: statusWaitsPerAccountMax / statusWaitsPerDeviceMax }, (_, at) =>
      alice.device(`waiting ${at}`),
    );
    await toDevices(others.map((each) => entry({ UniqueID: each.udf, Event: 'New' }, each.entry)));
    const all = await known();
    const leave = new AbortController();
    const wait = ({ principal }: TestDevice) => ask({ principal, known: all, waitMs: 10_000 }, leave.signal);
    const waiting = others.flatMap((each) => Array.from({ length: statusWaitsPerDeviceMax }, () => wait(each)));
    await untilWaiting(waiting.length);
    await expect(wait(device)).rejects.toMatchObject({ code: 'rate-limited', status: 429 });
    leave.abort();
    await Promise.all(waiting);
  });

  test('[S45] its heads are signed when it is answered, not when it was asked', async () => {
    const waiting = ask({ known: await known(), waitMs: 10_000, heads: true });
    await untilWaiting(1);
    shard.nowMs += 5000;
    await append();
    const { heads } = await waiting;
    const told = JSON.parse(Buffer.from(heads?.payload ?? none).toString()).ContainerHeads;
    expect(Date.parse(told.Time)).toBe(shard.nowMs);
    const head = told.Heads.find(({ Container }: { Container: string }) => Container === 'mmm_Credential');
    expect(head.Index).toBe(2);
  });

  test('a device that is revoked meanwhile is told so at once', async () => {
    const second = alice.device('second');
    await toDevices([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]);
    const containers = (await known()).filter(({ container }) => container !== 'mmm_Device');
    const waiting = ask({ principal: second.principal, known: containers, waitMs: 10_000 });
    await untilWaiting(1);
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'device-revoked', status: 401 }),
      toDevices([entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 })]),
    ]);
  });

  test('[R124] [R251] a device whose connection is superseded meanwhile is brought the newer one at once', async () => {
    const [second, newer] = [alice.device('second'), alice.device('second', [{ Name: 'Messaging' }])];
    await toDevices([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]);
    const containers = (await known()).filter(({ container }) => container !== 'mmm_Device');
    const waiting = ask({ principal: second.principal, known: containers, waitMs: 10_000 });
    await untilWaiting(1);
    await toDevices([entry({ UniqueID: second.udf, Event: 'Update', First: 2, Previous: 2 }, newer.entry)]);
    expect((await waiting).deviceEntry?.payload).toEqual(newer.entry);
  });

  test('ends with the process', async () => {
    const waiting = ask({ known: await known(), waitMs: 10_000 });
    await untilWaiting(1);
    shard.context.waits.stop();
    await expect(waiting).rejects.toMatchObject({ code: 'shutting-down', status: 503 });
    await expect(ask({ known: await known(), waitMs: 10_000 })).rejects.toMatchObject({ code: 'shutting-down' });
  });
});

describe('[S45] heads', () => {
  const textOf = (envelope: { payload: Uint8Array | null } | undefined) =>
    Buffer.from(envelope?.payload ?? none).toString();
  const heads = async () => textOf((await ask({ heads: true })).heads);

  test('are signed once until something changes or a minute has passed', async () => {
    const first = await heads();
    shard.nowMs += 59_000;
    expect(await heads()).toBe(first);
    shard.nowMs += 2000;
    const second = await heads();
    expect(second).not.toBe(first);
    await append();
    expect(await heads()).not.toBe(second);
    expect((await ask()).heads).toBeUndefined();
  });

  test('never name an older time with a longer container, though the clock goes back', async () => {
    const timeOf = (text: string) => Date.parse(JSON.parse(text).ContainerHeads.Time);
    const first = timeOf(await heads());
    shard.nowMs -= 3_600_000;
    await append();
    expect(timeOf(await heads())).toBe(first);
  });

  test('of a state that was overtaken are not newer than those that overtook it', async () => {
    const timeOf = (text: string) => Date.parse(JSON.parse(text).ContainerHeads.Time);
    const old = shard.store.stateOf(alice.address);
    await append();
    const newer = timeOf(await heads());
    const late = await shard.context.heads.envelopeOf(old as NonNullable<typeof old>, shard.nowMs + 5000);
    expect(timeOf(textOf(late))).toBeLessThanOrEqual(newer);
  });

  test('come with an Upload, as it left the account', async () => {
    const { envelopes } = writer.write([entry({ UniqueID: 'z', Event: 'New' })]);
    const result = await shard.upload(device, [{ envelopes }], shard.identity(), { heads: true });
    const told = JSON.parse(textOf('heads' in result ? result.heads : undefined)).ContainerHeads.Heads;
    expect(told.find(({ Container }: { Container: string }) => Container === 'mmm_Credential').Index).toBe(2);
  });
});

describe('tickets', () => {
  const bearer = (issuedMs: number, of: TestDevice = device) => ({
    ...of.principal,
    connection: undefined,
    ticketIssuedMs: issuedMs,
  });

  test('[S33] a ticket stands for its device as long as the connection is current', async () => {
    expect(await ask({ principal: bearer(shard.nowMs) })).toBeDefined();
    const other = { ...bearer(shard.nowMs), connectionDigest: new Uint8Array(64) };
    await expect(ask({ principal: other })).rejects.toMatchObject({ code: 'ticket', status: 401 });
    const stranger = new Person('mallory').device();
    const foreign = { ...bearer(shard.nowMs, stranger), account: alice.address };
    await expect(ask({ principal: foreign })).rejects.toMatchObject({ code: 'ticket' });
    const nobody = { ...bearer(shard.nowMs), account: 'nobody@example.com' };
    await expect(ask({ principal: nobody })).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('[S33] tickets end with a revocation, and those of before do not come back with the device', async () => {
    const second = alice.device('second');
    await toDevices([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]);
    const ticket = bearer(shard.nowMs, second);
    expect(await ask({ principal: ticket })).toBeDefined();
    shard.nowMs += 1000;
    await toDevices([entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 })]);
    await expect(ask({ principal: ticket })).rejects.toMatchObject({ code: 'device-revoked', status: 401 });
  });

  test('[S33] a new connection of the device, and new profiles of the account, end the tickets of before', async () => {
    const second = alice.device('second');
    await toDevices([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]);
    const issuedMs = shard.nowMs;
    shard.nowMs += 1000;
    const changed = alice.device('second', [{ Name: 'mmm_Contact' }]);
    await toDevices([entry({ UniqueID: second.udf, Event: 'Update', First: 2, Previous: 2 }, changed.entry)]);
    await expect(ask({ principal: bearer(issuedMs, second) })).rejects.toMatchObject({ code: 'ticket' });
    await expect(ask({ principal: bearer(issuedMs, changed) })).rejects.toMatchObject({ code: 'ticket' });
    expect(await ask({ principal: bearer(shard.nowMs, changed) })).toBeDefined();
    shard.nowMs += 1000;
    const newer = new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') });
    expect(await shard.create(newer)).toEqual({ status: 202 });
    await expect(ask({ principal: bearer(issuedMs) })).rejects.toMatchObject({ code: 'ticket' });
    expect(await ask({ principal: bearer(shard.nowMs) })).toBeDefined();
    expect(await ask()).toBeDefined();
  });

  test('[S31] a listed device is described, one that is not listed yet gets no ticket and can use none', async () => {
    expect(await authenticate(shard.context, device.principal)).toEqual({
      accountUdf: alice.accountUdf,
      deviceUdf: device.udf,
    });
    const bob = new Person('bob');
    await shard.create(bob);
    const first = bob.device();
    expect(await authenticate(shard.context, first.principal)).toBeUndefined();
    await expect(ask({ principal: bearer(shard.nowMs, first) })).rejects.toMatchObject({ code: 'ticket' });
  });
});
