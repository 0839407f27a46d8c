import { makeEnvelope, openEnvelope, redactEnvelope } from '@meshd/dare/envelope';
import { decodeEdge, root } from '@meshd/dare/log-tree';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  entry,
  mark,
  opening,
  Person,
  type SelfDraft,
  selfEntry,
  type TestDevice,
  TestWriter,
  testKey,
} from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { told } from '../testing/upload-kit.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  await shard.join(alice, device);
});

const note = (uniqueId: string): SelfDraft => ({ uniqueId, type: 'RequestTask' });
const signed = (draft: SelfDraft, signer = device.signature) => selfEntry(alice.accountUdf, signer, draft);
const send = (...envelopes: ReturnType<typeof signed>[]) =>
  shard.upload(device, [], shard.identity(), { self: envelopes });
const inbound = () => shard.store.framesOf(alice.address, 'mmm_Inbound');

describe('a Self entry', () => {
  test('[R266] is filed on the inbound spool, its frame made by the service around it', async () => {
    const envelope = signed(note('m1'));
    expect(await send(envelope)).toMatchObject({ status: 201, accepted: [{ indexRequest: 0, indexContainer: 1 }] });
    const frame = inbound()[1];
    const opened = openEnvelope({ ...envelope, ...frame, payload: frame?.payload ?? null });
    expect(opened.header.ContainerInfo).toEqual({ Index: 1 });
    expect([...(opened.payload ?? [])]).toEqual([...(envelope.payload ?? [])]);
    expect(opened.payloadDigest).toHaveLength(64);
    expect(opened.trailer.TreeDigest).toBeUndefined();
    expect(opened.contentMetaData).toEqual(openEnvelope(envelope).contentMetaData);
    const container = shard.store.stateOf(alice.address)?.containers.get('mmm_Inbound');
    expect(root(decodeEdge(container?.logTree ?? new Uint8Array(0)))).toHaveLength(32);
    expect([container?.frameCount, container?.manifestFrom]).toEqual([2, 2]);
  });

  test('updates and Self entries are one: numbered on, all or nothing', async () => {
    const writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
    const { envelopes } = writer.seal([opening(), entry({ UniqueID: 'a', Event: 'New' })]);
    const bad = signed({ ...note('m1'), entry: { kid: testKey('stranger').publicKey.udf } });
    const more = (self: ReturnType<typeof signed>[]) =>
      shard.upload(device, [{ envelopes }], shard.identity(), { self });
    expect(told(await more([signed(note('m0')), bad]))).toBe('403/2 Reject@3');
    expect([inbound().length, shard.store.framesOf(alice.address, 'mmm_Credential').length]).toEqual([1, 0]);
    const good = await more([signed(note('m0'))]);
    expect(good).toMatchObject({
      accepted: [
        { indexRequest: 0, count: 2 },
        { indexRequest: 2, indexContainer: 1 },
      ],
    });
  });

  test('[R135] every entry at fault is named, in updates and Self entries alike', async () => {
    const stranger = testKey('stranger');
    const { envelopes } = new TestWriter('mmm_Credential', alice.accountUdf, stranger).seal([opening()]);
    const self = [
      signed({ ...note('m0'), manifest: { kind: 1 } }),
      signed(note('m1')),
      signed({ ...note('m2'), entry: { kid: stranger.publicKey.udf } }),
      signed({ ...note('m3'), manifest: { from: 1 } }),
      signed({ ...note('m1'), body: { Text: 'other' } }),
    ];
    const result = await shard.upload(device, [{ envelopes }], shard.identity(), { self });
    const places = 'faults' in result ? result.faults.map(({ indexRequest }) => indexRequest) : [];
    expect(places).toEqual([0, 1, 3, 4, 5]);
    expect(inbound()).toHaveLength(1);
  });

  test('the same message of the same device again is accepted at its first place', async () => {
    const envelope = signed(note('m1'));
    await send(envelope, signed(note('m2')));
    expect(await send(envelope)).toMatchObject({ accepted: [{ indexContainer: 1 }] });
    expect(inbound()).toHaveLength(3);
    expect(told(await send(signed({ ...note('m1'), body: { Text: 'other' } })))).toBe('400/13 Reject@0');
    expect(told(await send(signed(note('m1'), alice.accountOnline)))).toBe('400/13 Reject@0');
    expect(told(await send(signed(note('m9')), signed({ ...note('m9'), body: { Text: 'x' } })))).toBe(
      '400/13 Reject@1',
    );
  });

  test('names itself: UniqueID, MessageType, cty; the tag and the sender are what they say', async () => {
    const wrong: SelfDraft[] = [
      { ...note('m1'), contentMeta: { cty: 'application/json' } },
      { ...note(''), uniqueId: '' },
      { ...note('m1'), contentMeta: { MessageType: 'RequestContact' } },
      { ...note('m1'), body: { Sender: 'bob@example.com' } },
      { uniqueId: 'm1', type: 'AcknowledgeConnection' },
      { ...mark('m1', 'Read', 'm0'), header: { enc: 'A256GCM' } },
    ];
    for (const draft of wrong) expect(told(await send(signed(draft)))).toBe('400/13 Reject@0');
    expect(told(await send(signed({ ...note('m1'), body: { Sender: 'ALICE@example.com' } })))).toBe('accepted');
    expect(told(await send(signed({ ...note('m2'), header: { enc: 'A256GCM' } })))).toBe('accepted');
  });

  test('[S41] needs a manifest of kind 3 for this account and spool beside an ordinary signature', async () => {
    const wrong: SelfDraft[] = [
      { ...note('m1'), manifest: { kind: 1 } },
      { ...note('m1'), manifest: { kind: 2 } },
      { ...note('m1'), manifest: { subject: new Person('bob').accountUdf } },
      { ...note('m1'), manifest: { object: 'mmm_Archive' } },
      { ...note('m1'), manifest: { from: 1 } },
      { ...note('m1'), entry: { alg: 'S512-MAN1' } },
      { ...note('m1'), entry: { Manifest: new Uint8Array(10) } },
    ];
    for (const draft of wrong) expect(told(await send(signed(draft)))).toBe('400/23 Reject@0');
    const { header, payload } = signed(note('m1'));
    expect(told(await send({ header, payload, trailer: null }))).toBe('400/23 Reject@0');
    const other = openEnvelope(signed(note('m2')));
    const carried = makeEnvelope({ header: openEnvelope(signed(note('m1'))).header, payload, trailer: other.trailer });
    expect(told(await send(carried))).toBe('400/23 Reject@0');
  });

  test('a message beyond the size of messages is too large for the whole request', async () => {
    const large = signed({ ...note('m1'), body: { Text: 'x'.repeat(65_536) } });
    await expect(send(large)).rejects.toMatchObject({ code: 'too-large' });
  });

  test('[S25] what lets somebody in is signed by an administrator', async () => {
    for (const type of ['MessagePIN', 'ChallengeConnection']) {
      expect(told(await send(signed({ uniqueId: `by device ${type}`, type })))).toBe('403/3 Reject@0');
    }
    expect(told(await send(signed({ uniqueId: 'MessagePIN', type: 'MessagePIN' }, alice.admin)))).toBe('accepted');
    // An administrator's, and of a request that nobody has made (S53).
    const challenge = signed({ uniqueId: 'challenge', type: 'ChallengeConnection' }, alice.admin);
    expect(told(await send(challenge))).toBe('400/13 Reject@0');
    expect(told(await send(signed(mark('c1', 'Accept', 'MessagePIN'))))).toBe('403/3 Reject@0');
    expect(told(await send(signed(mark('c2', 'Read', 'MessagePIN'))))).toBe('accepted');
    expect(told(await send(signed(mark('c1', 'Accept', 'MessagePIN'), alice.admin)))).toBe('accepted');
    const both = [signed({ uniqueId: 'pin', type: 'MessagePIN' }, alice.admin), signed(mark('c3', 'Accept', 'pin'))];
    expect(told(await send(...both))).toBe('403/3 Reject@1');
  });

  test('needs the permission to write the spool', async () => {
    const limited = alice.device('limited', [{ Name: 'mmm_Contact' }]);
    const writer = new TestWriter('mmm_Device', alice.accountUdf, alice.admin);
    const stored = shard.store.stateOf(alice.address)?.containers.get('mmm_Device');
    const { decodeTree } = await import('@meshd/dare/merkle');
    writer.trees = {
      tree: decodeTree(stored?.dareTree ?? new Uint8Array(0)),
      log: decodeEdge(stored?.logTree ?? new Uint8Array(0)),
    };
    const { envelopes } = writer.write([entry({ UniqueID: limited.udf, Event: 'New' }, limited.entry)]);
    await shard.upload(device, [{ container: 'mmm_Device', envelopes }]);
    const sent = await shard.upload(limited, [], shard.identity(), { self: [signed(note('m1'), limited.signature)] });
    expect(told(sent)).toBe('403/2 Reject@0');
    expect(told(await shard.upload(device, [{ container: 'mmm_Inbound', envelopes }]))).toBe('403/2 Reject@0');
  });

  test('counts against the quota', async () => {
    const account = shard.store.stateOf(alice.address);
    await shard.store.transactAccount(alice.address, (transactor) =>
      transactor.commit({
        replace: { ...(account as NonNullable<typeof account>), quota: { bytesMax: 1e9, framesMax: 6 } },
      }),
    );
    expect(told(await send(signed(note('m1'))))).toBe('accepted');
    expect(told(await send(signed(note('m2'))))).toBe('403/19 Reject@0');
  });
});

describe('marks', () => {
  const marked = async () => {
    const container = shard.store.stateOf(alice.address)?.containers.get('mmm_Inbound');
    return shard.store.readAccount(alice.address, async (reader) => {
      const keys = await reader.catalogKeys(container as NonNullable<typeof container>, ['m1', 'm2']);
      return ['m1', 'm2'].map((name) => keys.get(name)?.mark);
    });
  };

  test('[R132] Read, Unread and Deleted are remembered for filters, the latest counts', async () => {
    await send(signed(note('m1')), signed(note('m2')));
    await send(signed(mark('a', 'Read', 'm1', 'm2', 'unknown')));
    expect(await marked()).toEqual(['read', 'read']);
    await send(signed(mark('b', 'Unread', 'm1')), signed(mark('c', 'Deleted', 'm2')));
    expect(await marked()).toEqual([undefined, 'deleted']);
    await send(signed(mark('d', 'Accept', 'm2')));
    expect(await marked()).toEqual([undefined, 'deleted']);
    await send(signed(mark('e', 'Unread', 'm2')));
    expect(await marked()).toEqual([undefined, undefined]);
  });

  test('a mark that comes twice counts once', async () => {
    await send(signed(note('m1')));
    const read = signed(mark('a', 'Read', 'm1'));
    await send(read);
    await send(signed(mark('b', 'Unread', 'm1')));
    await send(read);
    expect(await marked()).toEqual([undefined, undefined]);
  });
});

describe('a probe', () => {
  const writer = () => new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
  const batch = () => [opening(), entry({ UniqueID: 'a', Event: 'New' }), entry({ UniqueID: 'b', Event: 'New' })];

  test('[R137] [R268] [R274] answers for every entry and for all together, and writes nothing', async () => {
    const { envelopes } = writer().seal(batch());
    const [first, second, third] = envelopes;
    const offered = [first, second && redactEnvelope(second), third && redactEnvelope(third)] as typeof envelopes;
    const commits = shard.store.commitCount;
    const self = [redactEnvelope(signed(note('m1')))];
    const result = await shard.upload(device, [{ envelopes: offered }], shard.identity(), { self });
    expect(result).toMatchObject({
      status: 300,
      entries: [
        { indexRequest: 0 },
        { indexRequest: 1, constraints: { bytesMax: 8 * 1024 * 1024 } },
        { indexRequest: 2 },
        { indexRequest: 3, constraints: { bytesMax: 65_536 } },
      ],
      constraints: { entriesMax: 1000, bytesMax: 8 * 1024 * 1024 },
    });
    expect(shard.store.commitCount).toBe(commits);
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
  });

  test('judges place, events and access; each fault at its entry, the others accepted', async () => {
    const credentials = writer();
    await shard.upload(device, [{ envelopes: credentials.write(batch()).envelopes }]);
    const stale = credentials.seal([entry({ UniqueID: 'a', Event: 'New' }), entry({ UniqueID: 'c', Event: 'New' })]);
    const offered = stale.envelopes.map(redactEnvelope);
    const elsewhere = [{ container: 'mmm_Outbound', envelopes: offered }, { envelopes: offered }];
    const result = await shard.upload(device, elsewhere);
    expect(result).toMatchObject({
      status: 300,
      entries: [
        { result: 'Reject', code: 'not-authorised' },
        { indexRequest: 1, constraints: {} },
        { result: 'Conflict', code: 'event-conflict' },
        { indexRequest: 3, constraints: {} },
      ],
    });
  });

  test('may come before the signature, and is refused with a wrong one', async () => {
    const { envelopes } = writer().seal(batch(), { signer: testKey('stranger') });
    const offered = envelopes.map(redactEnvelope);
    expect(await shard.upload(device, [{ envelopes: offered }])).toMatchObject({
      entries: [{}, {}, { result: 'Reject', code: 'not-authorised' }],
    });
    const bare = writer().seal([opening(), entry({ UniqueID: 'a', Event: 'New' })]).envelopes;
    const last = openEnvelope(bare[1] as (typeof bare)[number]);
    const header = { ...last.header, PayloadDigest: last.payloadDigest };
    const unsigned = { header: makeEnvelope({ header, payload: null }).header, payload: null, trailer: null };
    const result = await shard.upload(device, [{ envelopes: [bare[0], unsigned] as typeof bare }]);
    expect(result).toMatchObject({ status: 300, entries: [{ constraints: {} }, { constraints: {} }] });
  });

  test('[R264] [S82] is for own devices only', async () => {
    const { envelopes } = writer().seal(batch());
    const stranger = new Person('mallory').device();
    const principal = { ...stranger.principal, account: alice.address };
    const offered = [{ envelopes: envelopes.map(redactEnvelope) }];
    await expect(shard.upload({ principal }, offered)).rejects.toMatchObject({ code: 'not-authenticated' });
  });
});
