/** Uploads that somebody else was faster than, or that contradict what is stored (R273, R307). */
import { statusRegistry } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, type Person, type TestDevice, TestWriter } from '../testing/person.js';
import type { TestShard } from '../testing/test-shard.js';
import { credential, faultsOf, openUploadKit, told } from '../testing/upload-kit.js';
import { codeOfFaults } from '../upload/fault.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let writer: TestWriter;

beforeEach(async () => {
  ({ shard, alice, device, writer } = await openUploadKit());
});

const frameCount = () => shard.store.framesOf(alice.address, 'mmm_Credential').length;

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
