/**
 * What Status, Download and Upload can come to besides success (semantics 6.4–6.6): every outcome once, over the wire, from
 * a provider that runs. Who may call at all is in `who-may-call.test.ts`.
 */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import { sha512 } from '@meshd/crypto/digest';
import type { FrameDraft } from '@meshd/dare/batch';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { root } from '@meshd/dare/log-tree';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import {
  downloadEntriesMax,
  statusWaitsPerDeviceMax,
  uploadEntriesMax,
  uploadPayloadBytesMax,
} from '@meshd/limits/limits';
import type { ConstraintsData, ConstraintsSelect, ContainerUpdate } from '@meshd/schema/common';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, mark, opening, Person, selfEntry, type TestDevice, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitingRequests } from '../waiting-requests.js';
import { allFeatures, connected, type Joined, join, linkTo, list, type Verdict } from './people.js';

const container = 'mmm_Credential';
let provider: TestProvider;
let link: MeshConnection;
let alice: Joined;
let second: TestDevice;
let writer: TestWriter;
/** Frame 0 of the container, and what was uploaded first. */
let zero: FrameDraft;
let first: EnvelopeOctets[];

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
  zero = opening();
  first = [...writer.write([zero, item('a'), item('b')]).envelopes];
  expect(await uploaded(first)).toEqual([201]);
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

const withoutBody = (envelopes: readonly EnvelopeOctets[]) => envelopes.map((octets) => ({ ...octets, payload: null }));

describe('Status', () => {
  it('[R198] without Account: 400; [R264] of another account: 401', async () => {
    expect(await verdictOf('Status', { Account: undefined })).toEqual([400]);
    expect(await verdictOf('Status', { Account: 'nobody@example.com' })).toEqual([401]);
  });

  it('[R246] for another device than the caller: 403/2', async () => {
    expect(await verdictOf('Status', { DeviceUDF: second.udf })).toEqual([403, 2]);
  });

  it('[R248] [R249] [R252] for names that are not there: they are absent, 201', async () => {
    const { verdict, message } = await called('Status', {
      Catalogs: [container, 'mmm_Contact'],
      Spools: ['my_Nothing'],
    });
    expect(verdict).toEqual([201]);
    expect(message.ContainerStatus?.map(({ Container }) => Container)).toEqual([container]);
  });

  it('[R247] [R250] brings the profile of the Mesh to whoever does not hold it', async () => {
    const profile = alice.person.profileMesh;
    const held = { ProfileMasterDigest: sha512(profile.payload ?? new Uint8Array(0)) };
    expect((await called('Status', {})).message.EnvelopedProfileMaster?.payload).toEqual(profile.payload);
    expect((await called('Status', held)).message.EnvelopedProfileMaster).toBeUndefined();
  });

  it('[R174] [S83] waiting once more than a device may: 429', async () => {
    const { message } = await called('Status', {});
    const Known = message.ContainerStatus?.map(({ Container, Index }) => ({ Container, Index }));
    const leaving = new AbortController();
    const wait = () =>
      link.call('Status', { Account: alice.person.address, Wait: 20_000, Known }, [connected(second)], {
        signal: leaving.signal,
      });
    const waiting = Array.from({ length: statusWaitsPerDeviceMax }, () => wait().catch(() => undefined));
    const count = () => waitingRequests(provider.adminUrls.shards);
    await expect.poll(count, { timeout: 10_000 }).toBe(statusWaitsPerDeviceMax);
    expect(await wait()).toMatchObject({ status: 429, retryAfterMs: 1000 });
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

  it('[R262] of several containers, one of which is not there: the others, 201', async () => {
    const Select = [{ Container: 'mmm_Contact' }, { Container: container }];
    const { verdict, message } = await called('Download', { Select });
    expect(verdict).toEqual([201]);
    expect(message.Updates?.map(({ Container }) => Container)).toEqual([container]);
  });

  it('[R213] [R214] by the page key of another device: 410', async () => {
    const { pageKey: PageKey = '' } = await parts({}, { MaxEntries: 1 });
    expect(await verdictOf('Download', { Select: [{ PageKey }] })).toEqual([201]);
    expect(await verdictOf('Download', { Select: [{ PageKey }] }, second)).toEqual([410]);
  });

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
    const Updates = [{ Container: container, Envelopes: withoutBody(envelopes) }];
    const { verdict, message } = await called('Upload', { Updates });
    expect(verdict).toEqual([300]);
    expect(message.Entries?.map(({ Result }) => Result)).toEqual(['Accept', 'Accept']);
    expect(message.ConstraintsData).toMatchObject({ MaxEntries: expect.any(Number), BytesMax: expect.any(Number) });
    const status = await called('Status', { Catalogs: [container] });
    expect(status.message.ContainerStatus?.[0]?.Index).toBe(3);
  });

  it('[R137] [R268] of the bodies after that, in as many requests as one likes: 201, each frame once', async () => {
    const Container = 'my_Asked';
    const own = new TestWriter(Container, alice.person.accountUdf, alice.device.signature);
    const drafts = [[opening(), item('a')], [item('b')], [item('c')]];
    const batches = drafts.map((each) => own.write(each).envelopes);
    const updatesOf = (some: typeof batches) => some.map((each) => ({ Container, Envelopes: [...each] }));
    const asked = await called('Upload', { Updates: updatesOf(batches.map((each) => withoutBody(each))) });
    expect([asked.verdict, asked.message.Entries?.map(({ Result }) => Result)]).toEqual([
      [300],
      Array(4).fill('Accept'),
    ]);
    expect(await verdictOf('Upload', { Updates: updatesOf(batches.slice(0, 1)) })).toEqual([201]);
    expect(await verdictOf('Upload', { Updates: updatesOf(batches.slice(1)) })).toEqual([201]);
    const status = await called('Status', { Catalogs: [Container] });
    expect(status.message.ContainerStatus).toMatchObject([{ Container, Index: 4 }]);
  });

  it('[S82] a body other than the one that was asked about is refused when it comes: 400/11', async () => {
    const { envelopes } = writer.seal([item('asked')]);
    const asked = await called('Upload', {
      Updates: [{ Container: container, Envelopes: withoutBody(envelopes) }],
    });
    expect([asked.verdict, asked.message.Entries?.[0]?.Result]).toEqual([[300], 'Accept']);
    expect(await uploaded(envelopes.map((each) => ({ ...each, payload: Buffer.from('other') })))).toEqual([400, 11]);
  });

  it('[S42] [S82] asking under somebody else’s manifest gets Reject, and asking for another account 401', async () => {
    const { envelopes } = writer.seal([item('asked')], { signer: alice.person.meshOffline });
    const Updates = [{ Container: container, Envelopes: withoutBody(envelopes) }];
    const asked = await called('Upload', { Updates });
    expect([asked.verdict, asked.message.Entries]).toEqual([
      [300],
      [{ IndexRequest: 0, Result: 'Reject', StatusExtended: 2 }],
    ]);
    expect(await verdictOf('Upload', { Updates }, new Person('stranger').device())).toEqual([401]);
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
      '[R273] [S42] of a batch without manifest: 400/23',
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
      '[R264] [S43] under the manifest of somebody who may not write: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { signer: alice.person.meshOffline }).envelopes),
    ],
    [
      '[R264] [S01] under a manifest by the key of requests: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { signer: alice.device.authentication }).envelopes),
    ],
    [
      '[R266] [S01] of a Self entry signed by the key of requests: 403/2',
      [403, 2],
      () => {
        const { person, device } = alice;
        const draft = mark('NAAA-SELF', 'Read', 'NAAA-NONE');
        return verdictOf('Upload', { Self: [selfEntry(person.accountUdf, device.authentication, draft)] });
      },
    ],
    [
      '[R266] to a spool that the service writes: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { container: 'mmm_Inbound' }).envelopes, { Container: 'mmm_Inbound' }),
    ],
    [
      '[R266] to the spool of what was sent, which the service writes too: 403/2',
      [403, 2],
      () => uploaded(writer.seal([item('c')], { container: 'mmm_Outbound' }).envelopes, { Container: 'mmm_Outbound' }),
    ],
    [
      '[R273] beyond the end of a container that is not there: 409/12',
      [409, 12],
      () => uploaded(writer.seal([item('c')], { container: 'my_New' }).envelopes, { Container: 'my_New' }),
    ],
    [
      '[R273] of frame 0 to a container that is there with another: 409/12',
      [409, 12],
      () =>
        uploaded(
          new TestWriter(container, alice.person.accountUdf, alice.device.signature).seal([opening()]).envelopes,
        ),
    ],
    [
      '[R264] [S25] to the device catalog without an administrator: 403/3',
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
    ['[R231] of an update without frames: 400', [400], () => uploaded([])],
    ['[R308] to a name that no container can have: 400', [400], () => uploaded(sealedC(), { Container: '../x' })],
    [
      '[R236] of more octets than were announced: 413',
      [413],
      () => uploaded(sealedC().map((each) => ({ ...each, payload: Buffer.alloc(uploadPayloadBytesMax + 1) }))),
    ],
  ];
  const sealedC = () => writer.seal([item('c')]).envelopes;
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

  it('[R192] [R273] of frames that are there already: Accept at their indexes, and nothing is written', async () => {
    const Envelopes = first.slice(1);
    const { verdict, message } = await called('Upload', { Updates: [{ Container: container, Index: 1, Envelopes }] });
    expect(verdict).toEqual([201]);
    const results = message.Entries?.map(({ IndexContainer, Result }) => `${IndexContainer}: ${Result}`);
    expect(results).toEqual(['1: Accept', '2: Accept']);
  });

  it('[R273] of the same entries under another manifest: 409/12', async () => {
    const again = new TestWriter(container, alice.person.accountUdf, alice.person.accountOnline);
    const drafts = first.slice(1).map((octets) => {
      const { contentMetaData = {}, payload } = openEnvelope(octets);
      return entry(contentMetaData, payload ?? undefined);
    });
    again.write([zero]);
    const { envelopes } = again.write(drafts);
    expect(await uploaded(envelopes, { Index: 1 })).toEqual([409, 12]);
  });

  it('[R135] changes nothing when it is refused', async () => {
    const { message } = await called('Status', { Catalogs: [container] });
    expect(message.ContainerStatus?.[0]?.Index).toBe(3);
  });
});

describe('[R264] [S24] [S48] a device that was revoked', () => {
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

  it('[R273] has written nothing behind its cut, whoever brings it: 409/24', async () => {
    const { envelopes } = writer.seal([item('c')], { signer: second.signature });
    expect(await uploaded(envelopes)).toEqual([409, 24]);
  });
});
