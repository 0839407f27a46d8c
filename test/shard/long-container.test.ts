/** A container of many frames: proofs, pages, slices and filters from the database, and what they cost. */
import { importPublicKey } from '@meshd/crypto/ed448';
import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { root, verifyConsistency, verifyInclusion } from '@meshd/dare/log-tree';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged } from '@meshd/encoding/codec';
import type { Envelope } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { recordRegistry } from '@meshd/schema/service';
import { type BulkLoaded, bulkKey, bulkLoad } from '@meshd/shard/testing/bulk-load';
import { entry, Person, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rowsReadBy } from './rows-read.js';
import { ShardKit } from './shard-kit.js';

const frameCount = 20_000;
let kit: ShardKit;
let loaded: BulkLoaded;
const alice = new Person('alice');
const device = alice.device();
const container = 'mmm_Credential';

beforeAll(async () => {
  kit = await ShardKit.make();
  await kit.start();
  await kit.join(alice, device);
  await kit.stop();
  const url = kit.databaseUrl();
  loaded = await bulkLoad({ url, address: alice.address, container, frameCount, signer: device.signature });
  await kit.start();
});

afterAll(() => kit.remove());

const octetsOf = ({ header, payload, trailer }: Envelope): EnvelopeOctets => ({
  header,
  payload: payload ?? null,
  trailer: trailer ?? null,
});

/** Leaf of a frame as a reader makes it. */
function leafOf(envelope: Envelope): Uint8Array {
  const opened = openEnvelope(octetsOf(envelope));
  const core = coreOfFrame(opened, opened.payloadDigest as Uint8Array);
  return leafOfFrame(opened.header.ContainerInfo?.Index ?? -1, core, opened.signatures);
}

async function headsOf(envelope: Envelope | undefined) {
  const octets = octetsOf(envelope as Envelope);
  const { payload, signatures } = openEnvelope(octets);
  const heads = decodeTagged(recordRegistry, payload ?? new Uint8Array(0), { form: 'json' });
  return { tag: heads.tag, value: heads.value as Record<string, unknown>, entry: signatures[0], octets };
}

describe('proofs', () => {
  test('[S45] heads name every container with its log, size and root, signed by the host with its credentials', async () => {
    const { heads, containers } = await kit.status(device, { heads: true });
    const { tag, value, entry: signature, octets } = await headsOf(heads);
    expect(tag).toBe('ContainerHeads');
    const named = value.Heads as { Container: string; Log: Uint8Array; Index: number; Root: Uint8Array }[];
    expect(named.map(({ Container: name, Index: index }) => [name, index])).toEqual(
      containers.map(({ container: name, index }) => [name, index]),
    );
    const head = named.find(({ Container: name }) => name === container);
    expect(head).toMatchObject({ Index: frameCount });
    expect(Buffer.from(head?.Root ?? []).equals(root(loaded.log))).toBe(true);
    expect(Buffer.from(head?.Log ?? []).equals(loaded.logId)).toBe(true);
    expect([value.Account, value.Service]).toEqual([alice.accountUdf, 'example.com']);
    expect(signature?.Connection?.payload).toBeDefined();
    const { value: profile } = decodeTagged(
      (await import('@meshd/schema/profiles')).profileRegistry,
      signature?.Profile?.payload as Uint8Array,
      { form: 'json' },
    );
    const { publicKeyOf } = await import('@meshd/schema/profile-check');
    const key = publicKeyOf((profile as { KeyAuthentication: Parameters<typeof publicKeyOf>[0] }).KeyAuthentication);
    const verified = await verifyEnvelope(openEnvelope(octets), () => importPublicKey(key.raw));
    expect(verified.signers).toHaveLength(1);
    const again = await kit.status(device, { heads: true });
    expect(Buffer.from(again.heads?.trailer ?? []).equals(Buffer.from(heads?.trailer ?? []))).toBe(true);
  });

  test('[S46] every frame of a page is proved to be in the head, in little time', async () => {
    for (const indexMin of [0, 1, 999, 12_345, frameCount - 3]) {
      const { frames, proofs } = await kit.download(
        device,
        container,
        {},
        { indexMin, indexMax: indexMin + 2, prove: true },
      );
      expect(proofs).toHaveLength(3);
      for (const [at, frame] of frames.entries()) {
        const claim = { frameIndex: indexMin + at, frameCount, leaf: leafOf(frame), root: root(loaded.log) };
        expect(verifyInclusion({ ...claim, path: proofs[at]?.inclusion ?? [] })).toBe(true);
        expect(verifyInclusion({ ...claim, frameIndex: 5, path: proofs[at]?.inclusion ?? [] })).toBe(false);
      }
    }
  });

  test('[S46] a header reduced below the core comes with its leaf', async () => {
    const selection = { indexMin: 7, indexMax: 7, prove: true };
    const { proofs } = await kit.download(device, container, { header: false }, selection);
    const { frames } = await kit.download(device, container, {}, selection);
    expect(Buffer.from(proofs[0]?.leafDigest ?? []).equals(leafOf(frames[0] as Envelope))).toBe(true);
  });

  test('[S46] consistency from any earlier size to the head', async () => {
    const writer = new TestWriter(container, alice.accountUdf, device.signature);
    writer.trees = { tree: loaded.tree, log: loaded.log };
    const first = writer.write([entry({ UniqueID: 'more', Event: 'New' })]).envelopes;
    expect((await kit.upload(device, container, first)).outcome).toMatchObject({ status: 201 });
    const { parts } = await kit.download(device, container, {}, { indexMin: frameCount, proveFrom: frameCount });
    const begin = parts.find((part) => part.$case === 'container');
    const path = begin?.$case === 'container' ? begin.value.consistency : [];
    const [fromRoot, toRoot] = [root(loaded.log), root(writer.trees.log)];
    expect(verifyConsistency({ fromCount: frameCount, toCount: frameCount + 1, fromRoot, toRoot, path })).toBe(true);
    expect(
      verifyConsistency({ fromCount: frameCount, toCount: frameCount + 1, fromRoot, toRoot, path: path.slice(1) }),
    ).toBe(false);
  });
});

describe('pages and slices', () => {
  test('[R213] pages cover every frame of the first query once, whatever is appended meanwhile', async () => {
    const seen: number[] = [];
    let indexMin: number | undefined = frameCount - 50;
    while (indexMin !== undefined) {
      const page = await kit.download(device, container, { entriesMax: 7 }, { indexMin, frameCount });
      seen.push(...page.frames.map((frame) => openEnvelope(octetsOf(frame)).header.ContainerInfo?.Index ?? -1));
      const end = page.parts.find((part) => part.$case === 'containerEnd');
      indexMin = end?.$case === 'containerEnd' ? end.value.indexNext : undefined;
    }
    expect(seen).toEqual(Array.from({ length: 50 }, (_, at) => frameCount - 50 + at));
  });

  test('[R216] a payload in slices is the payload; more than one frame is refused', async () => {
    const one = { indexMin: 42, indexMax: 42 };
    const whole = (await kit.download(device, container, {}, one)).frames[0]?.payload as Uint8Array;
    const slices: Uint8Array[] = [];
    for (let payloadOffset = 0, cut = true; cut; payloadOffset += 10) {
      const { frames, parts } = await kit.download(device, container, { payloadOffset, payloadBytesMax: 10 }, one);
      slices.push(frames[0]?.payload as Uint8Array);
      cut = parts.some((part) => part.$case === 'end' && part.value.cut);
    }
    expect(Buffer.concat(slices).equals(whole)).toBe(true);
    const beyond = await kit.download(device, container, { payloadOffset: 1000 }, one);
    expect(beyond.frames[0]?.payload).toHaveLength(0);
    const several = await kit.download(device, container, { payloadOffset: 0 }, { indexMin: 1, indexMax: 2 });
    expect(several.parts).toMatchObject([{ $case: 'outcome', value: { status: 400, error: 'malformed' } }]);
  });

  test('[R131] filters leave out bodies, nothing else', async () => {
    const writer = new TestWriter(container, alice.accountUdf, device.signature);
    const { frames } = await kit.download(device, container, {}, { indexMin: frameCount });
    const { appendLeaf } = await import('@meshd/dare/log-tree');
    const { appendDare } = await import('@meshd/dare/merkle');
    let { tree, log } = loaded;
    for (const frame of frames) {
      tree = appendDare(tree, openEnvelope(octetsOf(frame)).payloadDigest as Uint8Array).state;
      log = appendLeaf(log, leafOf(frame));
    }
    writer.trees = { tree, log };
    const changes = writer.write([
      entry({ UniqueID: bulkKey(3), Event: 'Update', First: 3, Previous: 3 }),
      entry({ UniqueID: bulkKey(4), Event: 'Delete', First: 4, Previous: 4 }),
    ]).envelopes;
    expect((await kit.upload(device, container, changes)).outcome).toMatchObject({ status: 201 });
    const bodies = async (filters: string[], more = {}) => {
      const page = await kit.download(device, container, {}, { indexMin: 2, indexMax: 5, filters, ...more });
      expect(page.frames.map(leafOf)).toHaveLength(4);
      return page.frames.map(({ payload }) => payload !== undefined);
    };
    expect(await bodies([])).toEqual([true, true, true, true]);
    expect(await bodies(['Superseded'])).toEqual([true, false, false, true]);
    expect(await bodies(['Deleted'])).toEqual([true, true, false, true]);
    expect(await bodies(['Read'])).toEqual([true, true, true, true]);
    const later = 1_767_225_600_004;
    expect(await bodies(['Older'], { notBeforeMs: later })).toEqual([false, false, true, true]);
    const unknown = await kit.download(device, container, {}, { filters: ['Newer'] });
    expect(unknown.parts).toMatchObject([{ $case: 'outcome', value: { status: 400 } }]);
  });

  test('rows that a page and a Status read do not depend on where in how long a container they are', async () => {
    await kit.stop();
    try {
      const page = (indexMin: number) =>
        rowsReadBy(kit, async () => {
          const { frames } = await kit.download(device, container, { entriesMax: 50 }, { indexMin });
          expect(frames).toHaveLength(50);
        });
      const [near, far] = [await page(100), await page(frameCount - 100)];
      const status = await rowsReadBy(kit, async () => {
        const { containers } = await kit.status(device);
        expect(containers.find(({ container: name }) => name === container)?.index).toBeGreaterThanOrEqual(frameCount);
      });
      expect(Math.min(near, far)).toBeGreaterThanOrEqual(50);
      // About 90 and 35; sweeps of the shard read a few more now and then, and to pass over other frames reads them all.
      expect(Math.max(near, far, status)).toBeLessThan(frameCount / 20);
    } finally {
      await kit.start();
    }
  });
});
