/** What an upload stores, under which names and bounds, and what its repetition is told (semantics 6.6, S27). */
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, type Person, type TestDevice, TestWriter } from '../testing/person.js';
import type { TestShard } from '../testing/test-shard.js';
import { credential, openUploadKit, told } from '../testing/upload-kit.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let writer: TestWriter;

beforeEach(async () => {
  ({ shard, alice, device, writer } = await openUploadKit());
});

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
