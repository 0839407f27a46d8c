import { openEnvelope } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { authenticate } from './authenticate.js';
import { type DownloadPart, type DownloadRequest, download, type Selection } from './download.js';
import { status } from './status.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let devices: TestWriter;
let writer: TestWriter;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  devices = await shard.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  const entries = ['a', 'b', 'c', 'd'].map((id) => entry({ UniqueID: id, Event: 'New' }));
  await shard.upload(device, [{ envelopes: writer.write([opening(), ...entries]).envelopes }]);
});

const allOf = (container: string): Selection => ({
  container,
  indexMin: undefined,
  indexMax: undefined,
  notBeforeMs: undefined,
  beforeMs: undefined,
  filters: [],
  frameCount: undefined,
  proveFrom: undefined,
  prove: false,
});
const whole = { header: true, payload: true, trailer: true };

const downloadOf = (selections: readonly Partial<Selection>[]): DownloadRequest => ({
  principal: device.principal,
  selections: selections.map((selection) => ({ ...allOf('mmm_Credential'), ...selection })),
  entriesMax: 1000,
  payloadBytesMax: 8 * 1024 * 1024,
  parts: whole,
  payloadOffset: undefined,
  heads: false,
  describePrincipal: false,
});

describe('Status', () => {
  const ask = (changes: Partial<Parameters<typeof status>[1]> = {}) =>
    status(shard.context, {
      principal: device.principal,
      profileMasterDigest: new Uint8Array(0),
      containers: [],
      deviceUdf: '',
      known: [],
      waitMs: undefined,
      heads: false,
      ...changes,
    });

  test('[R228] [R229] [R252] lists every container with frame count and apex, and changes nothing', async () => {
    const commits = shard.store.commitCount;
    const { containers, deviceEntry } = await ask();
    expect(containers.map(({ container, index }) => [container, index])).toEqual([
      ['mmm_Inbound', 1],
      ['mmm_Outbound', 1],
      ['mmm_Archive', 1],
      ['mmm_Device', 2],
      ['mmm_Credential', 5],
    ]);
    expect(containers.at(-1)?.digest).toEqual(apex(writer.trees.tree));
    expect([deviceEntry, shard.store.commitCount]).toEqual([undefined, commits]);
  });

  test('names that are asked for and do not exist are absent', async () => {
    const { containers } = await ask({ containers: ['mmm_Credential', 'mmm_Contact', '../etc'] });
    expect(containers.map(({ container }) => container)).toEqual(['mmm_Credential']);
  });

  test('the ProfileMesh is left out for who holds it', async () => {
    const { sha512 } = await import('@meshd/crypto/digest');
    expect((await ask()).profileMesh?.payload).toEqual(alice.profileMesh.payload);
    const digest = sha512(alice.profileMesh.payload ?? new Uint8Array(0));
    expect((await ask({ profileMasterDigest: digest })).profileMesh).toBeUndefined();
  });

  test('[R246] the device that is named must be the one that asks', async () => {
    const { udf } = device;
    expect((await ask({ deviceUdf: udf.toLowerCase() })).containers).toHaveLength(5);
    for (const deviceUdf of [new Person('bob').device().udf, 'no UDF!']) {
      await expect(ask({ deviceUdf })).rejects.toMatchObject({ code: 'not-authorised' });
    }
  });

  test('[S24] unknown account, unknown device, foreign account: the same answer', async () => {
    const bob = new Person('bob');
    await shard.join(bob, bob.device());
    const principals = [
      { ...device.principal, account: 'nobody@example.com' },
      { ...device.principal, account: bob.address },
      alice.device('stranger').principal,
      { ...device.principal, connection: undefined, connectionDigest: new Uint8Array(64) },
    ];
    for (const principal of principals) {
      await expect(ask({ principal })).rejects.toMatchObject({ code: 'not-authenticated', detail: '' });
    }
  });

  describe('[R124] [R251] [S24] a connection of the same device that a newer one has superseded', () => {
    let old: TestDevice;
    let newer: TestDevice;
    beforeEach(async () => {
      old = alice.device('second', [{ Name: 'Administration' }, { Name: 'mmm_Credential' }]);
      newer = alice.device('second', [{ Name: 'Messaging' }]);
      await write(entry({ UniqueID: old.udf, Event: 'New' }, old.entry));
      expect(await ask({ principal: old.principal })).toMatchObject({ deviceEntry: undefined });
      await write(entry({ UniqueID: old.udf, Event: 'Update', First: 2, Previous: 2 }, newer.entry));
    });

    const write = (draft: ReturnType<typeof entry>) =>
      shard.upload(device, [{ container: 'mmm_Device', envelopes: devices.write([draft]).envelopes }]);
    const namesFor = async ({ principal }: TestDevice) =>
      (await ask({ principal })).containers.map(({ container }) => container);

    test('is brought the newer one, and shown what that permits, not what it permitted itself', async () => {
      expect((await ask({ principal: old.principal })).deviceEntry?.payload).toEqual(newer.entry);
      expect(await namesFor(old)).toEqual(await namesFor(newer));
      expect(await namesFor(old)).not.toContain('mmm_Credential');
      expect((await ask({ principal: newer.principal })).deviceEntry).toBeUndefined();
      await expect(ask({ principal: old.principal, deviceUdf: device.udf })).rejects.toMatchObject({
        code: 'not-authorised',
      });
    });

    test('opens nothing else: neither Download nor Upload, and there is no ticket for it', async () => {
      const { principal } = old;
      const refused = { code: 'not-authenticated', detail: '' };
      const read = async () => {
        for await (const _ of download(shard.context, { ...downloadOf([{ container: 'mmm_Inbound' }]), principal }));
      };
      await expect(read()).rejects.toMatchObject(refused);
      const notes = new TestWriter('my_Notes', alice.accountUdf, old.signature);
      const { envelopes } = notes.write([opening()]);
      await expect(shard.upload(old, [{ container: 'my_Notes', envelopes }])).rejects.toMatchObject(refused);
      await expect(authenticate(shard.context, principal)).rejects.toMatchObject(refused);
      const ticket = { ...principal, connection: undefined, ticketIssuedMs: shard.nowMs };
      await expect(ask({ principal: ticket })).rejects.toMatchObject({ code: 'ticket' });
    });

    test('is none where another account or another device’s key made it', async () => {
      const { key } = old.principal;
      const mallory = new Person('mallory').device('second');
      for (const { connection, connectionDigest } of [mallory.principal, alice.device('third').principal]) {
        const principal = { ...old.principal, key, connection, connectionDigest };
        await expect(ask({ principal })).rejects.toMatchObject({ code: 'not-authenticated' });
      }
    });

    test('[R115] brings a revoked device nothing, at once', async () => {
      await write(entry({ UniqueID: old.udf, Event: 'Delete', First: 2, Previous: 3 }));
      for (const { principal } of [old, newer]) {
        await expect(ask({ principal })).rejects.toMatchObject({ code: 'device-revoked' });
      }
    });
  });

  test('a device sees the stores that it has permission for, and the device catalog', async () => {
    const bob = new Person('bob');
    const [whole, limited] = [bob.device(), bob.device('second', [{ Name: 'Messaging', Role: 'read' }])];
    const devices = await shard.join(bob, whole);
    const listed = devices.write([entry({ UniqueID: limited.udf, Event: 'New' }, limited.entry)]).envelopes;
    const stores = new TestWriter('mmm_Credential', bob.accountUdf, whole.signature);
    const updates = [
      { container: 'mmm_Device', envelopes: listed },
      { envelopes: stores.write([opening()]).envelopes },
    ];
    expect(await shard.upload(whole, updates)).toMatchObject({ status: 201 });
    const seenBy = async ({ principal }: TestDevice) => {
      const { containers } = await ask({ principal });
      return containers.map(({ container }) => container);
    };
    const spools = ['mmm_Inbound', 'mmm_Outbound', 'mmm_Archive'];
    expect(await seenBy(whole)).toEqual([...spools, 'mmm_Device', 'mmm_Credential']);
    expect(await seenBy(limited)).toEqual([...spools, 'mmm_Device']);
  });
});

describe('Download', () => {
  const ask = async (selections: readonly Partial<Selection>[], changes: Partial<DownloadRequest> = {}) => {
    const request = { ...downloadOf(selections), ...changes };
    const parts: DownloadPart[] = [];
    for await (const part of download(shard.context, request)) parts.push(part);
    return parts;
  };
  const indexes = (parts: readonly DownloadPart[]) =>
    parts
      .flatMap((part) => (part.kind === 'frames' ? part.envelopes : []))
      .map((envelope) => openEnvelope(envelope).header.ContainerInfo?.Index);
  const isCut = (parts: readonly DownloadPart[]) => parts.some((part) => part.kind === 'end' && part.cut);

  test('[R254] [R262] gives frames in order, verbatim, after the state of their container', async () => {
    const parts = await ask([{}]);
    expect(parts[0]).toMatchObject({ kind: 'container', status: { container: 'mmm_Credential', index: 5 } });
    expect(indexes(parts)).toEqual([0, 1, 2, 3, 4]);
    expect(parts.at(-1)).toMatchObject({ kind: 'end', frameCount: 5, cut: false });
  });

  test('selects by index, both ends inclusive; beyond the end is empty', async () => {
    expect(indexes(await ask([{ indexMin: 1, indexMax: 3 }]))).toEqual([1, 2, 3]);
    expect(indexes(await ask([{ indexMin: 9 }]))).toEqual([]);
    expect(indexes(await ask([{ indexMin: 3, indexMax: 1 }]))).toEqual([]);
  });

  test('selects by the time of storing: from NotBefore, up to but not Before', async () => {
    const storedMs = shard.nowMs;
    shard.nowMs += 1000;
    const later = writer.write([entry({ UniqueID: 'e', Event: 'New' })]).envelopes;
    await shard.upload(device, [{ envelopes: later }]);
    expect(indexes(await ask([{ notBeforeMs: storedMs + 1000 }]))).toEqual([5]);
    expect(indexes(await ask([{ beforeMs: storedMs + 1000 }]))).toEqual([0, 1, 2, 3, 4]);
  });

  test('[R260] [R261] MaxEntries and BytesMax hold for the whole answer; one entry is sent regardless', async () => {
    const some = await ask([{ indexMax: 1 }, { container: 'mmm_Device' }], { entriesMax: 3 });
    expect(indexes(some)).toEqual([0, 1, 0]);
    expect(isCut(some)).toBe(true);
    const exact = await ask([{}], { entriesMax: 5 });
    expect([indexes(exact).length, isCut(exact)]).toEqual([5, false]);
    expect(indexes(await ask([{ indexMin: 1 }], { payloadBytesMax: 96 }))).toEqual([1, 2]);
    expect(indexes(await ask([{ indexMin: 1 }], { payloadBytesMax: 1 }))).toEqual([1]);
  });

  test('large frames come in parts of their own, small ones together', async () => {
    const sizes = [100_000, 100_000, 10, 10, 200_000, 10];
    const drafts = sizes.map((size, at) => entry({ UniqueID: `large-${at}`, Event: 'New' }, new Uint8Array(size)));
    await shard.upload(device, [{ envelopes: writer.write(drafts).envelopes }]);
    const parts = await ask([{ indexMin: 5 }]);
    const counts = parts.flatMap((part) => (part.kind === 'frames' ? [part.envelopes.length] : []));
    // the store reads two at a time
    expect(counts).toEqual([1, 1, 2, 1, 1]);
    expect(indexes(parts)).toEqual([5, 6, 7, 8, 9, 10]);
  });

  test('several selections are answered in their order; containers that do not exist are left out', async () => {
    const parts = await ask([{ container: 'mmm_Device' }, { container: 'mmm_Contact' }, { indexMin: 4 }]);
    const containers = parts.filter((part) => part.kind === 'container');
    expect(containers.map(({ selectionIndex, status }) => [selectionIndex, status.container])).toEqual([
      [0, 'mmm_Device'],
      [2, 'mmm_Credential'],
    ]);
  });

  test('a single selection of a container that does not exist is not found', async () => {
    await expect(ask([{ container: 'mmm_Contact' }])).rejects.toMatchObject({ code: 'container-unknown' });
  });

  test('parts: without payload the redacted form, without header what places the frame', async () => {
    const only = async (parts: Partial<typeof whole>) => {
      const none = { header: false, payload: false, trailer: false };
      const got = await ask([{ indexMin: 4 }], { parts: { ...none, ...parts } });
      return got.flatMap((part) => (part.kind === 'frames' ? part.envelopes : []))[0];
    };
    const headerOnly = await only({ header: true });
    expect([headerOnly?.payload, headerOnly?.trailer]).toEqual([null, null]);
    expect(JSON.parse(Buffer.from(headerOnly?.header ?? []).toString()).signatures).toBeUndefined();
    const withTrailer = openEnvelope((await only({ header: true, trailer: true })) as NonNullable<typeof headerOnly>);
    expect(withTrailer.payload).toBeNull();
    expect(withTrailer.signatures).toHaveLength(1);
    expect(withTrailer.payloadDigest).toHaveLength(64);
    const payloadOnly = await only({ payload: true });
    expect(payloadOnly?.payload).toHaveLength(48);
    expect(payloadOnly?.trailer).toBeNull();
    const placed = openEnvelope(payloadOnly as NonNullable<typeof payloadOnly>);
    expect([placed.header.ContainerInfo?.Index, placed.contentMetaData]).toEqual([4, { UniqueID: 'd' }]);
  });

  test('a device reads what it has permission for', async () => {
    const bob = new Person('bob');
    const limited = bob.device('first', [{ Name: 'mmm_Contact' }]);
    await shard.join(bob, limited);
    const refused = ask([{ container: 'mmm_Inbound' }], { principal: limited.principal });
    await expect(refused).rejects.toMatchObject({ code: 'not-authorised' });
  });
});
