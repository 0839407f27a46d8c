import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { statusRegistry } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import type { EntryFault } from '../upload/fault.js';
import { codeOfFaults, extendedOf } from '../upload/fault.js';
import type { UploadResult } from './upload.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let writer: TestWriter;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  await shard.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
});

function faultsOf(result: UploadResult): readonly EntryFault[] {
  if (!('faults' in result)) throw new Error('accepted');
  return result.faults;
}

/** `status/extended result@entry` of the first fault. */
function told(result: UploadResult): string {
  const faults = faultsOf(result);
  const first = faults[0] as EntryFault;
  return `${statusRegistry[codeOfFaults(faults)].status}/${extendedOf(first.code)} ${first.result}@${first.indexRequest}`;
}

const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });
const frameCount = () => shard.store.framesOf(alice.address, 'mmm_Credential').length;

describe('storing', () => {
  test('[R133] [R267] [R269] [R270] a batch that opens a catalog is stored verbatim, each entry at its place', async () => {
    const { envelopes } = writer.write([opening(), credential('a'), credential('b')]);
    const result = await shard.upload(device, [{ envelopes }]);
    expect(result).toEqual({ status: 201, accepted: [{ indexRequest: 0, indexContainer: 0, count: 3 }] });
    const stored = shard.store.framesOf(alice.address, 'mmm_Credential');
    expect(stored.map(({ header, payload, trailer }) => ({ header, payload, trailer }))).toEqual(envelopes);
  });

  test('[R228] the container counts its frames, frame 0 included, and both trees agree with the writer', async () => {
    await shard.upload(device, [{ envelopes: writer.write([opening(), credential('a')]).envelopes }]);
    await shard.upload(device, [{ envelopes: writer.write([credential('b')]).envelopes }]);
    const container = shard.store.stateOf(alice.address)?.containers.get('mmm_Credential');
    expect(container?.frameCount).toBe(3);
    expect(container?.manifestFrom).toBe(3);
    const { encodeTree } = await import('@meshd/dare/merkle');
    const { encodeEdge } = await import('@meshd/dare/log-tree');
    expect(container?.dareTree).toEqual(encodeTree(writer.trees.tree));
    expect(container?.logTree).toEqual(encodeEdge(writer.trees.log));
  });

  test('several containers and several batches of one container go into one request', async () => {
    const bookmarks = new TestWriter('mmm_Bookmark', alice.accountUdf, device.signature);
    const first = writer.write([opening(), credential('a')]).envelopes;
    const other = bookmarks.write([opening(), credential('x')]).envelopes;
    const second = writer.write([entry({ UniqueID: 'a', Event: 'Update', First: 1, Previous: 1 })]).envelopes;
    const result = await shard.upload(device, [
      { envelopes: first },
      { container: 'mmm_Bookmark', envelopes: other },
      { envelopes: second },
    ]);
    expect(result).toMatchObject({ accepted: [{ indexRequest: 0 }, { indexRequest: 2 }, { indexContainer: 2 }] });
    expect(frameCount()).toBe(3);
  });

  test('all or nothing: a fault in one container keeps the others unwritten', async () => {
    const bookmarks = new TestWriter('mmm_Bookmark', alice.accountUdf, device.signature);
    const commits = shard.store.commitCount;
    const result = await shard.upload(device, [
      { envelopes: writer.write([opening(), credential('a')]).envelopes },
      { container: 'mmm_Bookmark', envelopes: bookmarks.write([opening(), entry({ UniqueID: 'x' })]).envelopes },
    ]);
    expect(told(result)).toBe('400/13 Reject@3');
    expect([frameCount(), shard.store.commitCount]).toEqual([0, commits]);
  });
});

describe('conflicts', () => {
  beforeEach(async () => {
    await shard.upload(device, [{ envelopes: writer.write([opening(), credential('a')]).envelopes }]);
  });

  test('[R273] a stale index is a conflict', async () => {
    const { envelopes } = writer.seal([credential('b')]);
    await shard.upload(device, [{ envelopes: writer.write([credential('c')]).envelopes }]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('409/12 Conflict@0');
  });

  test('[R273] an index beyond the end, of a container that does not exist too, is a conflict', async () => {
    writer.write([credential('b')]);
    const { envelopes } = writer.seal([credential('c')]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('409/12 Conflict@0');
    expect(told(await shard.upload(device, [{ container: 'mmm_Bookmark', envelopes }]))).toBe('409/12 Conflict@0');
  });

  test('Index of the update decides with the indexes of its envelopes', async () => {
    const { envelopes } = writer.seal([credential('b')]);
    expect(told(await shard.upload(device, [{ envelopes, index: 1 }]))).toBe('409/12 Conflict@0');
    expect(await shard.upload(device, [{ envelopes, index: 2 }])).toMatchObject({ status: 201 });
  });

  test('an identical repetition is accepted at its first place and writes nothing', async () => {
    const { envelopes } = writer.write([credential('b'), credential('c')]);
    await shard.upload(device, [{ envelopes }]);
    const again = await shard.upload(device, [{ envelopes }]);
    expect(again).toMatchObject({ accepted: [{ indexRequest: 0, indexContainer: 2, count: 2 }] });
    expect(frameCount()).toBe(4);
  });

  test('the same entries under another manifest would be a fork: conflict', async () => {
    const drafts = [credential('b')];
    const second = alice.device('second');
    const other = writer.seal(drafts, { signer: second.signature });
    await shard.upload(device, [{ envelopes: writer.write(drafts).envelopes }]);
    expect(told(await shard.upload(device, [{ envelopes: other.envelopes }]))).toBe('409/12 Conflict@0');
  });

  test('Digest may be the apex before or after the batch, nothing else', async () => {
    const { apex } = await import('@meshd/dare/merkle');
    const before = apex(writer.trees.tree);
    const sealed = writer.seal([credential('b')]);
    const wrong = { envelopes: sealed.envelopes, digest: new Uint8Array(64) };
    expect(told(await shard.upload(device, [wrong]))).toBe('409/11 Conflict@0');
    expect(await shard.upload(device, [{ envelopes: sealed.envelopes, digest: before }])).toMatchObject({
      status: 201,
    });
    writer.trees = { tree: sealed.tree, log: sealed.log };
    const next = writer.write([credential('c')]);
    const result = await shard.upload(device, [{ envelopes: next.envelopes, digest: apex(next.tree) }]);
    expect(result).toMatchObject({ status: 201 });
  });

  test('[R273] [R307] a key that somebody else changed is a conflict', async () => {
    expect(told(await shard.upload(device, [{ envelopes: writer.seal([credential('a')]).envelopes }]))).toBe(
      '409/13 Conflict@0',
    );
    const missing = entry({ UniqueID: 'z', Event: 'Update', First: 1, Previous: 1 });
    expect(told(await shard.upload(device, [{ envelopes: writer.seal([missing]).envelopes }]))).toBe(
      '409/13 Conflict@0',
    );
  });

  test('[R307] Update and Delete follow First and Previous; after Delete the key is free again', async () => {
    const update = entry({ UniqueID: 'a', Event: 'Update', First: 1, Previous: 1 });
    const remove = entry({ UniqueID: 'a', Event: 'Delete', First: 1, Previous: 2 });
    const again = entry({ UniqueID: 'a', Event: 'New' });
    const stale = entry({ UniqueID: 'a', Event: 'Update', First: 1, Previous: 1 });
    const { envelopes } = writer.write([update, remove, again]);
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
    expect(told(await shard.upload(device, [{ envelopes: writer.seal([stale]).envelopes }]))).toBe('409/13 Conflict@0');
    const fresh = entry({ UniqueID: 'a', Event: 'Update', First: 4, Previous: 4 });
    expect(await shard.upload(device, [{ envelopes: writer.write([fresh]).envelopes }])).toMatchObject({ status: 201 });
  });

  test('[R307] an unknown event, an event without key and an Update without links are refused for good', async () => {
    const bad = [
      entry({ UniqueID: 'b', Event: 'Rename' }),
      entry({ Event: 'New' }),
      entry({ UniqueID: 'a', Event: 'Update' }),
    ];
    for (const draft of bad) {
      expect(told(await shard.upload(device, [{ envelopes: writer.seal([draft]).envelopes }]))).toBe('400/13 Reject@0');
    }
  });

  test('every entry at fault is named', async () => {
    const drafts = [entry({ UniqueID: 'b' }), credential('c'), entry({ UniqueID: 'd', Event: 'Rename' })];
    const faults = faultsOf(await shard.upload(device, [{ envelopes: writer.seal(drafts).envelopes }]));
    expect(faults.map((fault) => fault.indexRequest)).toEqual([0, 2]);
  });

  test('[R135] every batch at fault is named; nothing is said of what follows one in its container', async () => {
    const broken = writer.seal([credential('a')]).envelopes;
    const other = new TestWriter('mmm_Network', alice.accountUdf, alice.accountOffline);
    const updates = [
      { container: 'mmm_Network', envelopes: other.seal([opening()]).envelopes },
      { envelopes: broken },
      { envelopes: broken },
    ];
    const result = await shard.upload(device, updates);
    expect(faultsOf(result).map(({ indexRequest, code }) => [indexRequest, code])).toEqual([
      [0, 'not-authorised'],
      [1, 'event-conflict'],
    ]);
    expect(statusRegistry[codeOfFaults(faultsOf(result))].status).toBe(409);
  });

  test('a wrong PayloadDigest is refused', async () => {
    const { envelopes } = writer.seal([credential('b')]);
    const broken = envelopes.map((envelope) => ({ ...envelope, payload: new Uint8Array(48) }));
    expect(told(await shard.upload(device, [{ envelopes: broken }]))).toBe('400/11 Reject@0');
  });
});

describe('manifests', () => {
  beforeEach(async () => {
    await shard.upload(device, [{ envelopes: writer.write([opening(), credential('a')]).envelopes }]);
  });

  test('[S42] a batch without final manifest is refused at its last entry', async () => {
    const { envelopes } = writer.seal([credential('b'), credential('c'), credential('d')]);
    expect(told(await shard.upload(device, [{ envelopes: envelopes.slice(0, 2) }]))).toBe('400/23 Reject@1');
  });

  test('[S41] trailing octets, unknown version or kind of a manifest are refused', async () => {
    const { envelopes } = writer.seal([credential('b')]);
    const change = async (edit: (manifest: Uint8Array) => Uint8Array) => {
      const opened = openEnvelope(envelopes[0] as (typeof envelopes)[number]);
      const signatures = opened.signatures.map((each) => ({ ...each, Manifest: edit(each.Manifest as Uint8Array) }));
      const { trailer } = makeEnvelope({ header: {}, payload: null, trailer: { ...opened.trailer, signatures } });
      return told(await shard.upload(device, [{ envelopes: [{ ...opened.octets, trailer }] }]));
    };
    expect(await change((octets) => Buffer.concat([octets, Buffer.of(0)]))).toBe('400/23 Reject@0');
    expect(await change((octets) => Buffer.concat([Buffer.of(2), octets.subarray(1)]))).toBe('400/23 Reject@0');
    expect(await change((octets) => Buffer.concat([octets.subarray(0, 1), Buffer.of(3), octets.subarray(2)]))).toBe(
      '400/23 Reject@0',
    );
    const flipped = (octets: Uint8Array) => octets.map((octet, at) => (at === octets.length - 60 ? octet ^ 1 : octet));
    expect(await change(flipped)).toBe('400/23 Reject@0');
  });

  test('[S42] From one too low is a conflict', async () => {
    const { signManifest, manifestKinds } = await import('@meshd/dare/manifest');
    const { root } = await import('@meshd/dare/log-tree');
    const { placeFrame } = await import('@meshd/dare/batch');
    const placed = placeFrame(credential('b'), writer.trees, (core, index) => {
      const { log } = writer.trees;
      const fields = {
        kind: manifestKinds.frame,
        from: index - 1,
        index,
        root: root(log),
        createdMs: 0,
        subject: alice.accountUdf,
        object: 'mmm_Credential',
      };
      const Manifest = signManifest(device.signature, fields, core);
      return [{ alg: 'S512-MAN1', kid: device.signature.publicKey.udf, Manifest }];
    });
    expect(told(await shard.upload(device, [{ envelopes: [placed.envelope] }]))).toBe('409/12 Conflict@0');
  });

  test('[S42] another root is a conflict: the writer has seen another history', async () => {
    const fork = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
    fork.write([opening(), credential('a')]);
    const { envelopes } = fork.seal([credential('b'), credential('c')]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('409/12 Conflict@1');
  });

  test('[S42] a batch for another container or another account is refused', async () => {
    const other = writer.seal([credential('b')], { container: 'mmm_Network' });
    expect(told(await shard.upload(device, [{ envelopes: other.envelopes }]))).toBe('400/23 Reject@0');
    const foreign = writer.seal([credential('b')], { accountUdf: testKey('bob').publicKey.udf });
    expect(told(await shard.upload(device, [{ envelopes: foreign.envelopes }]))).toBe('400/23 Reject@0');
  });

  test('[S42] [S43] a signer without a place in the account may not write', async () => {
    const { envelopes } = writer.seal([credential('b')], { signer: testKey('mallory') });
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('403/2 Reject@0');
  });

  test('[S43] an online key of the account may write', async () => {
    const { envelopes } = writer.seal([credential('b')], { signer: alice.accountOnline });
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
  });

  test('[S42] one manifest a batch: a second one inside it would overlap', async () => {
    const first = writer.write([credential('b')]).envelopes;
    const second = writer.write([credential('c')]).envelopes;
    expect(told(await shard.upload(device, [{ envelopes: [...first, ...second] }]))).toBe('400/23 Reject@1');
    expect(await shard.upload(device, [{ envelopes: first }, { envelopes: second }])).toMatchObject({ status: 201 });
  });

  test('[S03] an S512 signature over the empty payload of a Delete is no proof', async () => {
    const draft = entry({ UniqueID: 'a', Event: 'Delete', First: 1, Previous: 1 });
    const { placeFrame } = await import('@meshd/dare/batch');
    const { sha512 } = await import('@meshd/crypto/digest');
    const signature = device.signature.sign(sha512(new Uint8Array(0)));
    const placed = placeFrame(draft, writer.trees, () => [
      { alg: 'S512', kid: device.signature.publicKey.udf, signature },
    ]);
    expect(told(await shard.upload(device, [{ envelopes: [placed.envelope] }]))).toBe('400/23 Reject@0');
  });
});

describe('legacy containers', () => {
  const bare = (drafts: readonly ReturnType<typeof entry>[], at = 0) =>
    drafts.map((draft, place) =>
      makeEnvelope({
        header: {
          ...draft.header,
          ContentMetaData: Buffer.from(JSON.stringify(draft.contentMeta)),
          ContainerInfo: { ...draft.header?.ContainerInfo, Index: at + place },
        },
        payload: draft.payload,
      }),
    );

  test('[S49] a container opened without a manifest is stored as the draft says', async () => {
    const first = bare([opening(), credential('a')]);
    expect(await shard.upload(device, [{ envelopes: first }])).toMatchObject({ status: 201 });
    expect(shard.store.stateOf(alice.address)?.containers.get('mmm_Credential')?.legacy).toBe(true);
    const next = bare([entry({ UniqueID: 'a', Event: 'Update' })], 2);
    expect(await shard.upload(device, [{ envelopes: next }])).toMatchObject({ status: 201 });
    expect(await shard.upload(device, [{ envelopes: next }])).toMatchObject({ accepted: [{ indexContainer: 2 }] });
    const other = bare([entry({ UniqueID: 'a', Event: 'Update' })], 2);
    expect(told(await shard.upload(device, [{ envelopes: other }]))).toBe('409/12 Conflict@0');
  });

  test('[S49] a manifest on a later entry only is a mistake and does not make a legacy container', async () => {
    const [, second] = writer.seal([opening(), credential('a')]).envelopes;
    const [zero] = bare([opening()]);
    const envelopes = [zero, second] as NonNullable<typeof second>[];
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('400/23 Reject@1');
  });

  test('[S25] the device catalog cannot be legacy', async () => {
    const bob = new Person('bob');
    await shard.create(bob);
    const envelopes = bare([opening(), entry({ UniqueID: bob.device().udf, Event: 'New' }, bob.device().entry)]);
    const result = await shard.upload(bob.device(), [{ container: 'mmm_Device', envelopes }]);
    expect(told(result)).toBe('403/3 Reject@1');
  });
});

describe('names, kinds, bounds', () => {
  test('[R308] names that are none are refused before anything is looked up', async () => {
    for (const container of ['../mmm_Device', 'mmm', 'mmm_', 'a_b/c', '']) {
      const { envelopes } = new TestWriter(container, alice.accountUdf, device.signature).seal([opening()]);
      expect(told(await shard.upload(device, [{ container, envelopes }]))).toBe('400/0 Reject@0');
    }
  });

  test('names of the service, unknown ones of the Mesh and spools that the service writes are refused', async () => {
    for (const container of ['mmm_Account', 'mmm_Incident', 'mmm_Whatever', 'mmm_Inbound', 'mmm_Outbound']) {
      const { envelopes } = new TestWriter(container, alice.accountUdf, device.signature).seal([opening()]);
      expect(told(await shard.upload(device, [{ container, envelopes }]))).toBe('403/2 Reject@0');
    }
  });

  test('an application store may hold entries without keys, and may be a spool', async () => {
    const notes = new TestWriter('acme_Notes', alice.accountUdf, device.signature);
    const drafts = [opening(), entry({}), entry({ UniqueID: 'n', Event: 'New' })];
    const { envelopes } = notes.write(drafts);
    expect(await shard.upload(device, [{ container: 'acme_Notes', envelopes }])).toMatchObject({ status: 201 });
    const half = notes.seal([entry({ UniqueID: 'm' })]);
    expect(told(await shard.upload(device, [{ container: 'acme_Notes', envelopes: half.envelopes }]))).toBe(
      '400/13 Reject@0',
    );
    const queue = new TestWriter('acme_Queue', alice.accountUdf, device.signature);
    const spool = queue.write([opening('spool'), entry({ UniqueID: 'one' })]);
    expect(await shard.upload(device, [{ container: 'acme_Queue', envelopes: spool.envelopes }])).toMatchObject({
      status: 201,
    });
    const again = queue.seal([entry({ UniqueID: 'one' })]);
    expect(told(await shard.upload(device, [{ container: 'acme_Queue', envelopes: again.envelopes }]))).toBe(
      '400/13 Reject@0',
    );
  });

  test('frame 0 of another kind than Merkle, or with a payload, is refused', async () => {
    const zero = opening();
    const list = { ...zero, header: { ContainerInfo: { DataEncoding: 'JSON', ContainerType: 'List' } } };
    expect(told(await shard.upload(device, [{ envelopes: writer.seal([list]).envelopes }]))).toBe('400/13 Reject@0');
    const full = { ...zero, payload: new Uint8Array(8) };
    expect(told(await shard.upload(device, [{ envelopes: writer.seal([full]).envelopes }]))).toBe('400/13 Reject@0');
  });

  test('the archive spool continues the frame that the service made', async () => {
    const { decodeTree } = await import('@meshd/dare/merkle');
    const { decodeEdge } = await import('@meshd/dare/log-tree');
    const archive = new TestWriter('mmm_Archive', alice.accountUdf, device.signature);
    const state = shard.store.stateOf(alice.address)?.containers.get('mmm_Archive');
    archive.trees = {
      tree: decodeTree(state?.dareTree ?? new Uint8Array(8)),
      log: decodeEdge(state?.logTree ?? new Uint8Array(8)),
    };
    const { envelopes } = archive.write([entry({ UniqueID: 'message' })]);
    const result = await shard.upload(device, [{ container: 'mmm_Archive', envelopes }]);
    expect(result).toMatchObject({ accepted: [{ indexContainer: 1 }] });
  });

  test('what is over the quota is refused where it no longer fits', async () => {
    const state = shard.store.stateOf(alice.address);
    Object.assign(state?.quota ?? {}, { framesMax: (state?.frameCount ?? 0) + 2 });
    const { envelopes } = writer.seal([opening(), credential('a'), credential('b')]);
    expect(told(await shard.upload(device, [{ envelopes }]))).toBe('403/19 Reject@2');
  });

  test('more entries or octets than announced concern the whole request', async () => {
    const { envelopes } = writer.seal([opening()]);
    const many = Array.from({ length: 1001 }, () => envelopes[0] as (typeof envelopes)[number]);
    await expect(shard.upload(device, [{ envelopes: many }])).rejects.toMatchObject({ code: 'too-large' });
    const large = [{ ...many[0], payload: new Uint8Array(8 * 1024 * 1024 + 1) }] as typeof many;
    await expect(shard.upload(device, [{ envelopes: large }])).rejects.toMatchObject({ code: 'too-large' });
  });

  test('a redacted entry without digest cannot be judged', async () => {
    const redacted = [{ header: new TextEncoder().encode('{}'), payload: null, trailer: null }];
    expect(told(await shard.upload(device, [{ envelopes: redacted }]))).toBe('400/11 Reject@0');
  });

  test('octets that are no envelope are refused', async () => {
    const nonsense = [{ header: new TextEncoder().encode('{"dig": 1}'), payload: new Uint8Array(1), trailer: null }];
    expect(told(await shard.upload(device, [{ envelopes: nonsense }]))).toBe('400/0 Reject@0');
  });
});

describe('repetition', () => {
  test('[S27] a retry gets the stored answer; the same ID with another digest is refused', async () => {
    const identity = shard.identity();
    const { envelopes } = writer.write([opening(), credential('a')]);
    const first = await shard.upload(device, [{ envelopes }], identity);
    const commits = shard.store.commitCount;
    expect(await shard.upload(device, [{ envelopes }], identity)).toEqual(first);
    expect(shard.store.commitCount).toBe(commits);
    const other = { id: identity.id, payloadDigest: new Uint8Array(64) };
    await expect(shard.upload(device, [{ envelopes }], other)).rejects.toMatchObject({ code: 'request-id-reused' });
  });

  test('[S27] [S45] a retry brings heads of now, if the device may still ask', async () => {
    const identity = shard.identity();
    const { envelopes } = writer.write([opening(), credential('a')]);
    const ask = () => shard.upload(device, [{ envelopes }], identity, { heads: true });
    const first = await ask();
    expect(first).toMatchObject({ status: 201, heads: { payload: expect.anything() } });
    expect(await ask()).toMatchObject({ accepted: 'accepted' in first && first.accepted, heads: expect.anything() });
    const revoked = device.principal.connectionDigest.fill(0);
    expect(revoked).toHaveLength(64);
    expect(await ask()).toMatchObject({ status: 201, heads: undefined });
  });

  test('[S27] a refusal is not kept: its repetition is executed', async () => {
    const identity = shard.identity();
    const { envelopes } = writer.write([opening()]);
    const next = writer.write([credential('a')]).envelopes;
    expect(told(await shard.upload(device, [{ envelopes: next }], identity))).toBe('409/12 Conflict@0');
    await shard.upload(device, [{ envelopes }]);
    expect(await shard.upload(device, [{ envelopes: next }], identity)).toMatchObject({ status: 201 });
  });
});

describe('the device catalog', () => {
  let devices: TestWriter;

  const listed = (each: TestDevice, event = 'New', links = {}) =>
    entry({ UniqueID: each.udf, Event: event, ...links }, event === 'Delete' ? undefined : each.entry);
  const toDevices = (as: TestDevice, drafts: readonly ReturnType<typeof entry>[], signer = alice.admin) =>
    shard.upload(as, [{ container: 'mmm_Device', envelopes: devices.seal(drafts, { signer }).envelopes }]);
  const write = async (as: TestDevice, drafts: readonly ReturnType<typeof entry>[]) => {
    const { envelopes } = devices.write(drafts);
    const result = await shard.upload(as, [{ container: 'mmm_Device', envelopes }]);
    expect(result).toMatchObject({ status: 201 });
  };

  beforeEach(async () => {
    shard = await new TestShard().start();
    alice = new Person('alice', { administrators: ['first', 'second'] });
    device = alice.device();
    devices = await shard.join(alice, device);
  });

  test('[S25] without an administrator’s manifest nothing is listed', async () => {
    expect(told(await toDevices(device, [listed(alice.device('second'))], device.signature))).toBe('403/3 Reject@0');
    expect(told(await toDevices(device, [listed(alice.device('second'))], testKey('mallory')))).toBe('403/3 Reject@0');
  });

  test('a further device is listed, and may then write', async () => {
    const second = alice.device('second');
    await expect(shard.upload(second, [])).rejects.toMatchObject({ code: 'not-authenticated' });
    await write(device, [listed(second)]);
    const bookmarks = new TestWriter('mmm_Bookmark', alice.accountUdf, second.signature);
    const { envelopes } = bookmarks.write([opening(), credential('b')]);
    expect(await shard.upload(second, [{ container: 'mmm_Bookmark', envelopes }])).toMatchObject({ status: 201 });
  });

  test('UniqueID of an entry is its DeviceUDF', async () => {
    const draft = entry({ UniqueID: testKey('x').publicKey.udf, Event: 'New' }, alice.device('second').entry);
    expect(told(await toDevices(device, [draft]))).toBe('400/13 Reject@0');
  });

  test('profile and connections of an entry must hold', async () => {
    const bob = new Person('bob');
    const foreign = bob.device();
    expect(told(await toDevices(device, [listed(foreign)]))).toBe('400/10 Reject@0');
    const nonsense = entry({ UniqueID: foreign.udf, Event: 'New' }, new TextEncoder().encode('{"CatalogedDevice":{}}'));
    expect(told(await toDevices(device, [nonsense]))).toBe('400/13 Reject@0');
  });

  test('[S24] revocation acts on the next request', async () => {
    const second = alice.device('second');
    await write(device, [listed(second)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    const { envelopes } = writer.seal([opening()], { signer: second.signature });
    await expect(shard.upload(second, [{ envelopes }])).rejects.toMatchObject({ code: 'device-revoked' });
    const late = writer.seal([opening()], { signer: second.signature });
    expect(told(await shard.upload(device, [{ envelopes: late.envelopes }]))).toBe('409/24 Conflict@0');
  });

  test('[S25] a revoked administrator cannot list itself again, nor sign for the device catalog', async () => {
    const second = alice.device('second');
    await write(device, [listed(second)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    const own = toDevices(second, [listed(second)], second.mesh);
    await expect(own).rejects.toMatchObject({ code: 'device-revoked' });
    expect(told(await toDevices(device, [listed(alice.device('third'))], second.mesh))).toBe('403/3 Reject@0');
    expect(told(await toDevices(device, [listed(second)], alice.admin))).toBe('403/3 Reject@0');
  });

  test('[S25] an administrator’s key dies with its entry, though the entry only names it', async () => {
    const second = alice.device('second');
    const bare = encodeTagged(
      CatalogedDevice,
      {
        UDF: second.mesh.publicKey.udf,
        DeviceUDF: second.udf,
        EnvelopedProfileDevice: second.profile,
        Accounts: [{ AccountUDF: alice.accountUdf, EnvelopedConnectionAccount: second.connection }],
      },
      'json',
    );
    await write(device, [entry({ UniqueID: second.udf, Event: 'New' }, bare)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    expect(told(await toDevices(device, [listed(alice.device('third'))], second.mesh))).toBe('403/3 Reject@0');
  });

  test('[S25] the offline key lists a revoked device again', async () => {
    await write(device, [listed(device, 'Delete', { First: 1, Previous: 1 })]);
    const online = toDevices(device, [listed(device)], alice.administrators[1]);
    await expect(online).rejects.toMatchObject({ code: 'device-revoked' });
    const recovered = alice.device('first', [], alice.meshOffline);
    const result = await toDevices(device, [listed(recovered)], alice.meshOffline);
    expect(result).toMatchObject({ status: 201 });
    const { envelopes } = writer.seal([opening()]);
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
  });

  test('[S25] bootstrap does not come back when the last device was deleted', async () => {
    await write(device, [listed(device, 'Delete', { First: 1, Previous: 1 })]);
    const { envelopes } = writer.seal([opening()]);
    await expect(shard.upload(device, [{ envelopes }])).rejects.toMatchObject({ code: 'device-revoked' });
    const stranger = alice.device('stranger');
    await expect(shard.upload(stranger, [{ envelopes }])).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('a device with permissions writes its stores only', async () => {
    const limited = alice.device('second', [{ Name: 'mmm_Bookmark' }, { Name: 'mmm_Contact', Role: 'read' }]);
    await write(device, [listed(limited)]);
    const upload = (container: string) => {
      const { envelopes } = new TestWriter(container, alice.accountUdf, limited.signature).seal([opening()]);
      return shard.upload(limited, [{ container, envelopes }]);
    };
    expect(await upload('mmm_Bookmark')).toMatchObject({ status: 201 });
    expect(told(await upload('mmm_Contact'))).toBe('403/2 Reject@0');
    expect(told(await upload('mmm_Credential'))).toBe('403/2 Reject@0');
  });
});
