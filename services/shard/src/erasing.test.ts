/** Removing the bodies of deleted entries (S64): what goes, what stays, and by whose word. In memory. */
import { systemRandom } from '@meshd/crypto/random';
import type { FrameDraft } from '@meshd/dare/batch';
import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import { appendLeaf, decodeEdge, emptyLog, root } from '@meshd/dare/log-tree';
import { apex, appendDare, decodeTree, emptyDareTree } from '@meshd/dare/merkle';
import { erasedAtOnceMax } from '@meshd/limits/limits';
import { beforeEach, describe, expect, it } from 'vitest';
import { eraseBodies } from './erasing.js';
import { entry, opening, TestWriter } from './testing/person.js';
import { openUploadKit, told, type UploadKit } from './testing/upload-kit.js';
import { type DownloadRequest, download } from './transactions/download.js';

const container = 'mmm_Credential';
const bodyBytes = 272;
let kit: UploadKit;

/** An entry as devices write it: ciphertext, with its salt in the header. */
function sealed(contentMeta: ContentMeta): FrameDraft {
  return { ...entry(contentMeta, systemRandom(bodyBytes)), header: { enc: 'A256GCM', Salt: systemRandom(16) } };
}
const made = (id: string) => sealed({ UniqueID: id, Event: 'New' });
const changed = (id: string, First: number, Previous: number) =>
  sealed({ UniqueID: id, Event: 'Update', First, Previous });
const deleted = (id: string, First: number, Previous: number) =>
  entry({ UniqueID: id, Event: 'Delete', First, Previous });

const upload = (drafts: FrameDraft[], writer = kit.writer) =>
  kit.shard.upload(kit.device, [{ container: writer.container, envelopes: writer.write(drafts).envelopes }]);
const erase = () => {
  const errors: unknown[] = [];
  return eraseBodies(kit.shard.context, { onError: (error) => errors.push(error) }).then(() => errors);
};
const rows = (name = container) => kit.shard.store.framesOf(kit.alice.address, name);
/** Indexes of frames that have a body. */
const bodies = (name = container) => rows(name).flatMap(({ index, payload }) => (payload?.length ? [index] : []));
const bytesUsed = () => kit.shard.store.stateOf(kit.alice.address)?.bytesUsed ?? 0;

async function downloaded(more: Partial<DownloadRequest> = {}, indexMin?: number): Promise<EnvelopeOctets[]> {
  const selection = {
    ...{ container, indexMin, indexMax: indexMin, notBeforeMs: undefined, beforeMs: undefined, filters: [] },
    ...{ frameCount: undefined, proveFrom: undefined, prove: true },
  };
  const found: EnvelopeOctets[] = [];
  for await (const part of download(kit.shard.context, {
    ...{ principal: kit.device.principal, selections: [selection], entriesMax: 100, payloadBytesMax: 1_000_000 },
    ...{ parts: { header: true, payload: true, trailer: true }, payloadOffset: undefined },
    ...{ heads: false, describePrincipal: false, ...more },
  })) {
    if (part.kind === 'frames') found.push(...part.envelopes);
  }
  return found;
}

/** Root and apex as a reader computes them who holds nothing else. */
function treesOf(envelopes: readonly EnvelopeOctets[]) {
  let [log, tree] = [emptyLog, emptyDareTree];
  for (const [index, octets] of envelopes.entries()) {
    const envelope = openEnvelope(octets);
    const digest = envelope.payloadDigest as Uint8Array;
    log = appendLeaf(log, leafOfFrame(index, coreOfFrame(envelope, digest), envelope.signatures));
    tree = appendDare(tree, digest).state;
  }
  return { root: root(log), apex: apex(tree) };
}

beforeEach(async () => {
  kit = await openUploadKit();
  await upload([opening(), made('a'), made('b'), changed('a', 1, 1)]);
});

describe('[S64] the body of an entry', () => {
  it('goes when the owner deletes it, with those it took the place of; others and all that is proved stay', async () => {
    const before = rows().map(({ leaf, payloadDigest, treeDigest }) => [leaf, payloadDigest, treeDigest]);
    const used = bytesUsed();
    await upload([deleted('a', 1, 3)]);
    const grown = bytesUsed() - used;
    expect(bodies()).toEqual([1, 2, 3]);
    expect(await erase()).toEqual([]);
    expect(bodies()).toEqual([2]);
    expect(
      rows()
        .map(({ leaf, payloadDigest, treeDigest }) => [leaf, payloadDigest, treeDigest])
        .slice(0, 4),
    ).toEqual(before);
    const maltMoreBytes = 64;
    expect(bytesUsed()).toBe(used + grown - 2 * (bodyBytes - maltMoreBytes));
    expect(kit.shard.store.pendingErasures).toEqual([]);
  });

  it('is left out of answers in the redacted form, from which root and apex follow as before', async () => {
    await upload([deleted('a', 1, 3)]);
    const whole = await downloaded();
    await erase();
    const after = await downloaded();
    expect(after.map(({ payload, trailer }) => [payload === null, trailer === null])).toEqual(
      [0, 1, 2, 3, 4].map((index) => [index % 2 === 1, index % 2 === 1]),
    );
    const { tree, log } = kit.writer.trees;
    expect(treesOf(whole)).toEqual({ root: root(log), apex: apex(tree) });
    expect(treesOf(after)).toEqual(treesOf(whole));
    const [sliced] = await downloaded({ payloadOffset: 0, payloadBytesMax: 10 }, 3);
    expect([sliced?.payload, openEnvelope(sliced as EnvelopeOctets).header.Salt]).toEqual([null, undefined]);
  });

  it('stays while the entry lives, and where it has come to life again only what was before goes', async () => {
    expect([await erase(), bodies()]).toEqual([[], [1, 2, 3]]);
    await upload([deleted('a', 1, 3), made('a')]);
    await upload([changed('a', 5, 5)]);
    await erase();
    expect(bodies()).toEqual([2, 5, 6]);
    await upload([deleted('a', 5, 6)]);
    await erase();
    expect(bodies()).toEqual([2]);
  });

  it('stays when somebody deletes it who may not, or who names another version', async () => {
    const { shard, alice, device, writer } = kit;
    const reader = alice.device('reader', [{ Name: container, Role: 'read' }]);
    const admin = new TestWriter('mmm_Device', alice.accountUdf, alice.admin);
    admin.trees = deviceTrees();
    const listed = [entry({ UniqueID: reader.udf, Event: 'New' }, reader.entry)];
    expect(told(await shard.upload(device, [{ container: 'mmm_Device', ...admin.seal(listed) }]))).toBe('accepted');
    const sealedBy = (signer = device.signature, draft = deleted('a', 1, 3)) => writer.seal([draft], { signer });
    expect(told(await shard.upload(reader, [sealedBy(reader.signature)]))).toMatch(/^403/);
    expect(told(await shard.upload(device, [sealedBy(reader.signature)]))).toMatch(/^403/);
    expect(told(await shard.upload(device, [sealedBy(device.signature, deleted('a', 1, 1))]))).not.toBe('accepted');
    expect([shard.store.pendingErasures, await erase(), bodies()]).toEqual([[], [], [1, 2, 3]]);
  });

  it('stays in the device catalog, whose entries tell who was entitled to write', async () => {
    const { shard, alice, device } = kit;
    const other = alice.device('other');
    const admin = new TestWriter('mmm_Device', alice.accountUdf, alice.admin);
    admin.trees = deviceTrees();
    await upload([entry({ UniqueID: other.udf, Event: 'New' }, other.entry)], admin);
    const gone = entry({ UniqueID: other.udf, Event: 'Delete', First: 2, Previous: 2 });
    expect(told(await shard.upload(device, [{ container: 'mmm_Device', ...admin.seal([gone]) }]))).toBe('accepted');
    await erase();
    expect(bodies('mmm_Device').slice(0, 2)).toEqual([1, 2]);
  });

  it('goes though the entry has more versions than one transaction takes', async () => {
    const versions = Array.from({ length: erasedAtOnceMax + 3 }, (_, at) => changed('b', 2, at === 0 ? 2 : at + 3));
    await upload([...versions.slice(0, 40)]);
    await upload([...versions.slice(40)]);
    await upload([deleted('b', 2, versions.length + 3)]);
    const commits = kit.shard.store.commitCount;
    expect([await erase(), bodies(), kit.shard.store.commitCount - commits]).toEqual([[], [1, 3], 2]);
  });

  it('that cannot be removed is told, and holds up no other', async () => {
    await upload([deleted('a', 1, 3), deleted('b', 2, 2)]);
    const { store } = kit.shard;
    const [first, ...others] = store.pendingErasures;
    store.pendingErasures = [{ ...(first as (typeof others)[number]), address: '@broken' }, ...others];
    const transact = store.transactAccount.bind(store);
    store.transactAccount = (address, work) =>
      address === '@broken' ? Promise.reject(new Error('no database')) : transact(address, work);
    expect((await erase()).map(String)).toEqual(['Error: no database']);
    expect([bodies(), store.pendingErasures.length]).toEqual([[1, 3], 1]);
  });
});

/** The device catalog as the kit has opened it. */
function deviceTrees() {
  const state = kit.shard.store.stateOf(kit.alice.address)?.containers.get('mmm_Device');
  if (state === undefined) throw new Error('no device catalog');
  return { tree: decodeTree(state.dareTree), log: decodeEdge(state.logTree) };
}
