/**
 * What Status, Download and Upload can come to besides success (semantics 6.4–6.6): every outcome once, over the wire, from
 * a provider that runs. Who may call at all is in `who-may-call.test.ts`.
 */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { root } from '@meshd/dare/log-tree';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { waitFor } from '@meshd/dev/wait';
import { downloadEntriesMax, statusWaitsPerDeviceMax, uploadEntriesMax } from '@meshd/limits/limits';
import type { ConstraintsData, ConstraintsSelect, ContainerUpdate } from '@meshd/schema/common';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, opening, Person, type TestDevice, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitingRequests } from '../waiting-requests.js';
import { allFeatures, connected, type Joined, join, linkTo, list, type Verdict } from './people.js';

const container = 'mmm_Credential';
let provider: TestProvider;
let link: MeshConnection;
let alice: Joined;
let second: TestDevice;
let writer: TestWriter;

const item = (UniqueID: string) => entry({ UniqueID, Event: 'New' });

beforeAll(async () => {
  provider = await startTestProvider({
    domains: ['example.com'],
    router: { sourceLimits: { signedRefusalsPerSecond: 1000 } },
  });
  link = linkTo(provider, { features: allFeatures });
  alice = await join(link, 'alice');
  const { person, device } = alice;
  second = person.device('second');
  await list(link, alice, second);
  writer = new TestWriter(container, person.accountUdf, device.signature);
  const { envelopes } = writer.write([opening(), item('a'), item('b')]);
  expect(await uploaded(envelopes)).toEqual([201]);
});
afterAll(async () => {
  await link?.close();
  await provider?.stop();
});

async function called<T extends Transaction>(transaction: T, message: object, device = alice.device) {
  const complete = { Account: alice.person.address, ...message } as RequestOf<T>;
  const answer = await link.call(transaction, complete, [connected(device)]);
  const { status, statusExtended: extended } = answer;
  const verdict: Verdict = extended === undefined ? [status] : [status, extended];
  return { verdict, message: answer.message };
}

const verdictOf = async (transaction: Transaction, message: object, device?: TestDevice) =>
  (await called(transaction, message, device)).verdict;

const uploaded = (envelopes: readonly EnvelopeOctets[], update: Partial<ContainerUpdate> = {}, device?: TestDevice) => {
  const Updates = [{ Container: container, Envelopes: [...envelopes], ...update }];
  return verdictOf('Upload', { Updates }, device);
};

const downloaded = (select: Partial<ConstraintsSelect>, ConstraintsPost: ConstraintsData = {}) =>
  verdictOf('Download', { Select: [{ Container: container, ...select }], ConstraintsPost });

const without = (part: 'payload', envelopes: readonly EnvelopeOctets[]) =>
  envelopes.map((octets) => ({ ...octets, [part]: null }));

describe('Status', () => {
  it('[R198] without Account: 400; [R264] of another account: 401', async () => {
    expect(await verdictOf('Status', { Account: undefined })).toEqual([400]);
    expect(await verdictOf('Status', { Account: 'nobody@example.com' })).toEqual([401]);
  });

  it('[R246] for another device than the caller: 403/2', async () => {
    expect(await verdictOf('Status', { DeviceUDF: second.udf })).toEqual([403, 2]);
  });

  it('[S83] waiting once more than a device may: 429', async () => {
    const { message } = await called('Status', {});
    const Known = message.ContainerStatus?.map(({ Container, Index }) => ({ Container, Index }));
    const leaving = new AbortController();
    const wait = () =>
      link.call('Status', { Account: alice.person.address, Wait: 20_000, Known }, [connected(second)], {
        signal: leaving.signal,
      });
    const waiting = Array.from({ length: statusWaitsPerDeviceMax }, () => wait().catch(() => undefined));
    await waitFor(
      async () => ((await waitingRequests(provider.adminUrls.shards)) === statusWaitsPerDeviceMax ? true : undefined),
      {
        what: 'waiting requests at the shards',
        deadlineMs: 10_000,
      },
    );
    expect((await wait()).status).toBe(429);
    leaving.abort();
    await Promise.all(waiting);
  });
});

describe('Download', () => {
  const cases: [string, Verdict, Partial<ConstraintsSelect>, ConstraintsData?][] = [
    ['[R208] of no container: 400', [400], { Container: undefined }],
    ['[R257] of a container that is not there: 404', [404], { Container: 'mmm_Contact' }],
    ['[R216] from an offset, of more than one frame: 400', [400], { IndexMin: 1 }, { BytesOffset: 1, BytesMax: 8 }],
    ['[R216] from a negative offset: 400', [400], { IndexMin: 1, IndexMax: 1 }, { BytesOffset: -1, BytesMax: 8 }],
    ['[R131] [R132] filtered by a word that nobody knows: 400', [400], { Filter: ['Boring'] }],
    ['[R215] of no entries: 400', [400], {}, { MaxEntries: 0 }],
    ['[R213] by a page key that is none: 410', [410], { PageKey: 'AAAA' }],
  ];
  for (const [title, verdict, select, constraints] of cases) {
    it(title, async () => {
      expect(await downloaded(select, constraints)).toEqual(verdict);
    });
  }

  const parts = async (select: Partial<ConstraintsSelect>, ConstraintsPost: ConstraintsData = {}) => {
    const { message } = await called('Download', { Select: [{ Container: container, ...select }], ConstraintsPost });
    const update = message.Updates?.[0];
    return { envelopes: update?.Envelopes ?? [], pageKey: update?.PageKey };
  };

  it('[R126] [R207] by index and by date gives what matches', async () => {
    expect((await parts({ IndexMin: 1, IndexMax: 1 })).envelopes).toHaveLength(1);
    const tomorrow = new Date(Date.now() + 24 * 3600_000);
    expect((await parts({ Before: tomorrow })).envelopes).toHaveLength(3);
    expect((await parts({ NotBefore: tomorrow })).envelopes).toHaveLength(0);
  });

  it('[R127] [R256] of certain parts gives those', async () => {
    const { envelopes } = await parts({ IndexMin: 1 }, { Header: true });
    expect(envelopes.map(({ payload }) => payload)).toEqual([null, null]);
  });

  it('[R128] [R213] is cut at a limit, with a key that continues it', async () => {
    const first = await parts({}, { MaxEntries: 2 });
    expect([first.envelopes.length, first.pageKey]).toEqual([2, expect.any(String)]);
    const rest = await parts({ PageKey: first.pageKey ?? '' });
    expect([rest.envelopes.length, rest.pageKey]).toEqual([1, undefined]);
  });

  it('[R258] [R260] of more than there may be in an answer: cut, not refused', async () => {
    expect(await downloaded({}, { MaxEntries: downloadEntriesMax * 10 })).toEqual([201]);
  });
});

describe('Upload', () => {
  it('[R137] [R268] [R274] of entries without their bodies: 300, with what may be sent, and nothing is stored', async () => {
    const { envelopes } = writer.seal([item('c'), item('d')]);
    const Updates = [{ Container: container, Envelopes: without('payload', envelopes) }];
    const { verdict, message } = await called('Upload', { Updates });
    expect(verdict).toEqual([300]);
    expect(message.Entries?.map(({ Result }) => Result)).toEqual(['Accept', 'Accept']);
    expect(message.ConstraintsData).toMatchObject({ MaxEntries: expect.any(Number), BytesMax: expect.any(Number) });
    const status = await called('Status', { Catalogs: [container] });
    expect(status.message.ContainerStatus?.[0]?.Index).toBe(3);
  });

  const faults: [string, Verdict, () => Promise<Verdict>][] = [
    [
      '[R273] of a payload that is not the one of its digest: 400/11',
      [400, 11],
      () => uploaded(writer.seal([item('c')]).envelopes.map((each) => ({ ...each, payload: Buffer.from('other') }))),
    ],
    [
      '[R307] of an event that nobody knows: 400/13',
      [400, 13],
      () => uploaded(writer.seal([entry({ UniqueID: 'c', Event: 'Destroy' })]).envelopes),
    ],
    [
      '[S42] of a batch without manifest: 400/23',
      [400, 23],
      () => uploaded(writer.seal([item('c'), item('d')]).envelopes.slice(0, 1)),
    ],
    [
      '[R305] of a device that is none: 400/10',
      [400, 10],
      () => {
        const third = alice.person.device('third', [], new Person('stranger').admin);
        const draft = entry({ UniqueID: third.udf, Event: 'New' }, third.entry);
        return uploaded(alice.devices.seal([draft]).envelopes, { Container: 'mmm_Device' });
      },
    ],
    [
      '[S43] under the manifest of somebody who may not write: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { signer: alice.person.meshOffline }).envelopes),
    ],
    [
      '[R266] to a spool that the service writes: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { container: 'mmm_Inbound' }).envelopes, { Container: 'mmm_Inbound' }),
    ],
    [
      '[S25] to the device catalog without an administrator: 403/3',
      [403, 3],
      () => {
        const third = alice.person.device('third');
        const draft = entry({ UniqueID: third.udf, Event: 'New' }, third.entry);
        const { envelopes } = alice.devices.seal([draft], { signer: alice.device.signature });
        return uploaded(envelopes, { Container: 'mmm_Device' });
      },
    ],
    [
      '[R229] [R273] on a state that is another: 409/11',
      [409, 11],
      () => uploaded(writer.seal([item('c')]).envelopes, { Digest: new Uint8Array(64) }),
    ],
    [
      '[R273] at an index that is taken: 409/12',
      [409, 12],
      () => uploaded(writer.seal([item('c')]).envelopes, { Index: 1 }),
    ],
    ['[R273] [R307] of a key that is there: 409/13', [409, 13], () => uploaded(writer.seal([item('a')]).envelopes)],
    [
      '[R236] of more entries than were announced: 413',
      [413],
      () => uploaded(Array(uploadEntriesMax + 1).fill(writer.seal([item('c')]).envelopes[0])),
    ],
    [
      '[R266] of a Self entry that does not name itself: 400/13',
      [400, 13],
      () => verdictOf('Upload', { Self: nameless() }),
    ],
    ['of an update without frames: 400', [400], () => uploaded([])],
  ];
  const nameless = () => [
    {
      header: Buffer.from(
        '{"ContentMetaData":"eyJVbmlxdWVJRCI6Ik5BQUEiLCJNZXNzYWdlVHlwZSI6Ik1lc3NhZ2VDb21wbGV0ZSJ9","dig":"S512"}',
      ),
      payload: Buffer.from('{"MessageComplete":{}}'),
      trailer: null,
    },
  ];
  for (const [title, verdict, act] of faults) {
    it(title, async () => {
      expect(await act()).toEqual(verdict);
    });
  }

  it('[R135] changes nothing when it is refused', async () => {
    const { message } = await called('Status', { Catalogs: [container] });
    expect(message.ContainerStatus?.[0]?.Index).toBe(3);
  });
});

describe('[S24] [S48] a device that was revoked', () => {
  beforeAll(async () => {
    const { log } = writer.trees;
    const cut = `${log.frameCount}:${Buffer.from(root(log)).toString('base64url')}`;
    const deletion = entry({
      ...{ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 },
      KeyValues: [{ Key: `Cut:${container}`, Value: cut }],
    });
    const { envelopes } = alice.devices.write([deletion]);
    expect(await uploaded(envelopes, { Container: 'mmm_Device' })).toEqual([201]);
  });

  it('asks for nothing any more: 401/4, whatever it asks for', async () => {
    expect(await verdictOf('Status', {}, second)).toEqual([401, 4]);
    expect(await verdictOf('Download', { Select: [{ Container: container }] }, second)).toEqual([401, 4]);
    expect(await uploaded(writer.seal([item('c')], { signer: second.signature }).envelopes, {}, second)).toEqual([
      401, 4,
    ]);
  });

  it('has written nothing behind its cut, whoever brings it: 409/24', async () => {
    const { envelopes } = writer.seal([item('c')], { signer: second.signature });
    expect(await uploaded(envelopes)).toEqual([409, 24]);
  });
});
