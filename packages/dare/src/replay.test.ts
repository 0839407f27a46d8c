import { importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { describe, expect, test } from 'vitest';
import { type BatchContext, type FrameDraft, frameZero, placeFrame, sealBatch } from './batch.js';
import { applyEvent, CatalogReplay } from './catalog-replay.js';
import { type DareEnvelope, type EnvelopeOctets, makeEnvelope, openEnvelope, redactEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import {
  envelopeOfVector,
  newItem,
  nothingRead,
  only,
  opening,
  place,
  type VectorFrame,
  writer,
} from './frames.fixture.js';
import { emptyRoot, root } from './log-tree.js';
import { decodeManifest, manifestKinds, signManifest } from './manifest.js';
import { apex } from './merkle.js';
import { isLegacy, type ReaderState, type ReplayContext, tileManifests, trustedState } from './replay.js';
import { b64, toHex, utf8, vectorsOf } from './vectors.fixture.js';

const context: ReplayContext = { ...place, entitled: only(writer.publicKey) };
const zero = frameZero({ contentType: 'application/mmm-catalog', uniqueId: 'NAAA', createdMs: 0 });
const open = (octets: readonly EnvelopeOctets[]): DareEnvelope[] => octets.map(openEnvelope);

async function codeOf(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    return error instanceof DareError ? error.code : String(error);
  }
  return 'none';
}

const read = (envelopes: readonly DareEnvelope[], state: ReaderState = nothingRead, how: ReplayContext = context) =>
  tileManifests(envelopes, state, how);

describe('vectors', () => {
  const contextOf = (input: { account: string; container: string; signerPublic: string }): ReplayContext => ({
    accountUdf: input.account,
    container: input.container,
    entitled: only(importPublicKey(b64(input.signerPublic))),
  });

  for (const { name, input, expected } of vectorsOf('security.json', 'frames')) {
    test(`[S43] ${name} is authentic throughout`, async () => {
      const tiled = await read((input.frames as VectorFrame[]).map(envelopeOfVector), nothingRead, contextOf(input));
      expect(tiled.uncoveredCount).toBe(0);
      expect(tiled.frames.length).toBe(expected.frames.length);
      expect(toHex(root(tiled.state.log))).toBe(toHex(b64(expected.frames.at(-1).root)));
      const replay = new CatalogReplay();
      for (const frame of tiled.frames) replay.apply(frame.frameIndex, frame.envelope.contentMetaData);
      expect([...replay.items.keys()]).toEqual(['k1', 'k2', 'k3']);
    });
  }

  /** What the reader finds: a manifest signs the frame that bears it, its root covers those before. */
  const whyRefused: Record<string, string> = {
    'container-delete-relabelled': 'signature',
    'container-event-changed': 'signature',
    'container-old-frame-replayed': 'tiling',
    'container-covered-frame-swapped': 'root',
    'container-manifest-stripped': 'uncovered',
  };
  for (const { name, input, expected } of vectorsOf('security.json', 'framesNegative')) {
    test(`[S43] ${name}: refused (${expected.why})`, async () => {
      const frames = (input.frames as VectorFrame[]).map(envelopeOfVector);
      let why: string | undefined;
      try {
        const tiled = await read(frames, nothingRead, contextOf(input));
        const replay = new CatalogReplay();
        for (const frame of tiled.frames) replay.apply(frame.frameIndex, frame.envelope.contentMetaData);
        // a tail that nothing covers is not data
        if (tiled.uncoveredCount > 0) why = 'uncovered';
      } catch (error) {
        expect(error).toBeInstanceOf(DareError);
        why = (error as DareError).code;
      }
      expect(why === undefined).toBe(expected.accept);
      expect(why).toBe(whyRefused[name]);
    });
  }
});

describe('writing a batch and reading it', () => {
  test('[S42] opening batch: frame 0 vouches for itself, the rest from 1 on', async () => {
    const sealed = sealBatch([zero, newItem('a', 'A'), newItem('b', 'B')], opening);
    const envelopes = open(sealed.envelopes);
    const ranges = envelopes.map((envelope) => {
      const manifest = envelope.signatures[0]?.Manifest;
      return manifest === undefined ? null : [decodeManifest(manifest).from, decodeManifest(manifest).index];
    });
    expect(ranges).toEqual([[0, 0], null, [1, 2]]);
    const first = decodeManifest(envelopes[0]?.signatures[0]?.Manifest as Uint8Array);
    expect(toHex(first.root)).toBe(toHex(emptyRoot));
    const tiled = await read(envelopes);
    expect(tiled.frames.map((frame) => frame.frameIndex)).toEqual([0, 1, 2]);
    expect(toHex(root(tiled.state.log))).toBe(toHex(root(sealed.log)));
    expect(toHex(apex(tiled.state.tree) as Uint8Array)).toBe(toHex(apex(sealed.tree) as Uint8Array));
    expect(envelopes.map((one) => one.trailer.TreeDigest).map((digest) => toHex(digest as Uint8Array))).toEqual(
      tiled.frames.map((frame) => toHex(frame.treeDigest)),
    );
  });

  test('[S42] a frame 0 alone, then batches of every size, one signature each', async () => {
    let trees: Pick<BatchContext, 'tree' | 'log'> = opening;
    let state = nothingRead;
    for (const [at, size] of [1, 1, 2, 3, 5, 8].entries()) {
      const drafts = Array.from(
        { length: size },
        (_, item): FrameDraft => (at === 0 ? zero : newItem(`${at}.${item}`, 'x')),
      );
      const sealed = sealBatch(drafts, { ...opening, ...trees });
      const envelopes = open(sealed.envelopes);
      expect(envelopes.filter((envelope) => envelope.signatures.length > 0).length).toBe(1);
      const tiled = await read(envelopes, state);
      expect(tiled.uncoveredCount).toBe(0);
      state = tiled.state;
      trees = sealed;
    }
    expect(toHex(root(state.log))).toBe(toHex(root(trees.log)));
  });

  test('[S43] a redacted frame is covered by the root above it', async () => {
    const sealed = sealBatch([zero, newItem('a', 'A'), newItem('b', 'B')], opening);
    const [first, second, third] = sealed.envelopes as [EnvelopeOctets, EnvelopeOctets, EnvelopeOctets];
    const tiled = await read(open([first, redactEnvelope(second), third]));
    expect(tiled.frames.length).toBe(3);
    const undigested = makeEnvelope({ header: { ContainerInfo: { Index: 1 } }, payload: null });
    expect(await codeOf(() => read(open([first, undigested, third])))).toBe('redacted');
  });

  test('no drafts and trees of two lengths are refused', () => {
    expect(() => sealBatch([], opening)).toThrow(DareError);
    const one = sealBatch([zero], opening);
    expect(() => placeFrame(zero, { tree: opening.tree, log: one.log })).toThrow(/differ/);
  });
});

describe('what a reader refuses', () => {
  const start = sealBatch([zero], opening);
  const later: BatchContext = { ...opening, tree: start.tree, log: start.log };
  const batch = sealBatch([newItem('a', 'A'), newItem('b', 'B')], later);
  const whole = open([...start.envelopes, ...batch.envelopes]);

  test('[S42] [S43] a batch without a final manifest is no data, and frame 0 without one is legacy', async () => {
    const tiled = await read(whole.slice(0, 2));
    expect(tiled).toMatchObject({ uncoveredCount: 1, state: { covered: 1 } });
    expect(tiled.frames.length).toBe(1);
    const plain = placeFrame(zero, opening);
    expect(isLegacy(openEnvelope(plain.envelope))).toBe(true);
    expect(isLegacy(whole[0] as DareEnvelope)).toBe(false);
    expect(await codeOf(() => read(open([plain.envelope])))).toBe('manifest');
  });

  test('[S49] a frame 0 that the service made needs no manifest where the reader expects that', async () => {
    const service = placeFrame(zero, opening);
    const next = sealBatch([newItem('a', 'A')], { ...opening, tree: service.tree, log: service.log });
    const archive = { ...context, serviceMadeZero: true };
    const tiled = await read(open([service.envelope, ...next.envelopes]), nothingRead, archive);
    expect(tiled.frames.length).toBe(2);
    // for others it is legacy
    expect(await codeOf(() => read(open([service.envelope, ...next.envelopes])))).toBe('manifest');
  });

  test('[S44] [S49] a container made again has another log: UniqueID and Created of frame 0 differ', () => {
    const again = frameZero({ contentType: 'application/mmm-spool', uniqueId: 'NBBB', createdMs: 0 });
    const first = frameZero({ contentType: 'application/mmm-spool', uniqueId: 'NAAA', createdMs: 0 });
    expect(toHex(placeFrame(first, opening).leaf)).not.toBe(toHex(placeFrame(again, opening).leaf));
  });

  test('[S42] From one too low or too high', async () => {
    const remade = (from: number): DareEnvelope[] => {
      const placed = placeFrame(newItem('a', 'A'), later, (core, index) => {
        const fields = { ...place, kind: manifestKinds.frame, from, index, root: root(later.log), createdMs: 0 };
        const Manifest = signManifest(writer, { ...fields, subject: place.accountUdf, object: place.container }, core);
        return [{ alg: 'S512-MAN1', kid: writer.publicKey.udf, Manifest }];
      });
      return open([...start.envelopes, placed.envelope]);
    };
    expect(await codeOf(() => read(remade(1)))).toBe('none');
    expect(await codeOf(() => read(remade(0)))).toBe('tiling');
    expect(await codeOf(() => read(remade(2)))).toBe('tiling');
  });

  test('[S43] a gap: a frame that nobody vouched for, below a manifest that begins behind it', async () => {
    const unproven = placeFrame(newItem('a', 'A'), later);
    const behind = sealBatch([newItem('b', 'B')], { ...later, tree: unproven.tree, log: unproven.log });
    const given = open([...start.envelopes, unproven.envelope, ...behind.envelopes]);
    expect(await codeOf(() => read(given))).toBe('tiling');
  });

  test('[S42] a batch of another container or another account', async () => {
    expect(await codeOf(() => read(whole, nothingRead, { ...context, container: 'mmm_Network' }))).toBe('manifest');
    expect(await codeOf(() => read(whole, nothingRead, { ...context, accountUdf: 'MAAA' }))).toBe('manifest');
  });

  test('[S43] a frame left out, moved, or put on top of other frames', async () => {
    expect(await codeOf(() => read([whole[0], whole[2]] as DareEnvelope[]))).toBe('container');
    const other = sealBatch([{ ...zero, contentMeta: { ...zero.contentMeta, UniqueID: 'NBBB' } }], opening);
    expect(await codeOf(() => read(open([...other.envelopes, ...batch.envelopes])))).toBe('root');
  });

  test('[S43] a signer who is not entitled, and one whose key is called the same', async () => {
    expect(await codeOf(() => read(whole, nothingRead, { ...context, entitled: () => undefined }))).toBe('entitlement');
    const stranger = signingKeyFromSeed(Buffer.alloc(57, 22)).publicKey;
    expect(await codeOf(() => read(whole, nothingRead, { ...context, entitled: () => stranger }))).toBe('signature');
  });

  test('[S43] frames below a root the reader trusts are not judged again', async () => {
    const nobody = { ...context, entitled: () => undefined };
    const state = trustedState(start.tree, start.log);
    expect(await codeOf(() => read(whole.slice(1), state, nobody))).toBe('entitlement');
    const after = trustedState(batch.tree, batch.log);
    expect((await read([], after, nobody)).state).toBe(after);
  });

  test('[S41] a message manifest, a second manifest, or one beside another alg does not cover a frame', async () => {
    const entryOf = (frame: DareEnvelope) => frame.signatures[0] ?? {};
    const last = whole[2] as DareEnvelope;
    const withEntries = (signatures: object[]) =>
      openEnvelope(makeEnvelope({ header: last.header, payload: last.payload, trailer: { signatures } }));
    const entry = entryOf(last);
    expect(await codeOf(() => read([...whole.slice(0, 2), withEntries([entry, entry])]))).toBe('manifest');
    expect(await codeOf(() => read([...whole.slice(0, 2), withEntries([{ ...entry, alg: 'S512' }])]))).toBe('manifest');
    const message = signManifest(
      writer,
      {
        kind: manifestKinds.message,
        from: 0,
        index: 0,
        root: new Uint8Array(32),
        createdMs: 0,
        subject: 'a',
        object: '',
      },
      new Uint8Array(64),
    );
    expect(await codeOf(() => read([...whole.slice(0, 2), withEntries([{ ...entry, Manifest: message }])]))).toBe(
      'manifest',
    );
    // one that fits the place in all but its kind
    const own = placeFrame(newItem('a', 'A'), later, (core, index) => {
      const fields = { from: 1, index, root: root(later.log), createdMs: 0, subject: place.accountUdf };
      const kind = manifestKinds.self;
      const Manifest = signManifest(writer, { ...fields, kind, object: place.container }, core);
      return [{ alg: 'S512-MAN1', kid: writer.publicKey.udf, Manifest }];
    });
    expect(await codeOf(() => read(open([...start.envelopes, own.envelope])))).toBe('manifest');
  });

  test('[S03] [S43] a Delete whose only proof is S512 over the empty digest is not covered', async () => {
    const Delete: FrameDraft = {
      contentMeta: { UniqueID: 'a', Event: 'Delete', First: 1, Previous: 1 },
      payload: utf8(''),
    };
    const placed = placeFrame(Delete, { tree: batch.tree, log: batch.log }, () => [
      { alg: 'S512', kid: writer.publicKey.udf, signature: writer.sign(new Uint8Array(64)) },
    ]);
    const tiled = await read([...whole, openEnvelope(placed.envelope)]);
    expect(tiled.uncoveredCount).toBe(1);
  });

  test('[S43] another payload under a covered index', async () => {
    const changed = { ...(whole[1] as DareEnvelope).octets, payload: utf8('C') };
    expect(await codeOf(() => read([whole[0] as DareEnvelope, openEnvelope(changed), whole[2] as DareEnvelope]))).toBe(
      'payload-digest',
    );
  });
});

describe('catalog events', () => {
  const update = { Event: 'Update', First: 1, Previous: 1 };

  test('[S43] New, Update, Delete in the states where they are allowed', () => {
    const item = applyEvent(undefined, { Event: 'New' }, 1);
    expect(item).toEqual({ first: 1, current: 1 });
    expect(applyEvent(item, update, 4)).toEqual({ first: 1, current: 4 });
    expect(applyEvent(item, { ...update, Event: 'Delete' }, 4)).toBeUndefined();
  });

  test('[S43] everything else is refused', () => {
    const item = { first: 1, current: 1 };
    const refused = [
      () => applyEvent(item, { Event: 'New' }, 2),
      () => applyEvent(undefined, update, 2),
      () => applyEvent(undefined, { ...update, Event: 'Delete' }, 2),
      () => applyEvent(item, { Event: 'Update' }, 2),
      () => applyEvent(item, { ...update, Previous: 2 }, 3),
      () => applyEvent({ first: 1, current: 3 }, update, 4),
      () => applyEvent(item, { Event: 'new' }, 2),
      () => applyEvent(item, {}, 2),
    ];
    for (const action of refused) expect(action).toThrow(DareError);
  });

  test('[S43] a replay frees a deleted key, passes unkeyed entries over, wants both members together', () => {
    const replay = new CatalogReplay();
    replay.apply(0, { UniqueID: 'container' });
    replay.apply(1, { UniqueID: 'a', Event: 'New' });
    replay.apply(2, { cty: 'text/plain' });
    replay.apply(3, undefined);
    replay.apply(4, { UniqueID: 'a', Event: 'Delete', First: 1, Previous: 1 });
    replay.apply(5, { UniqueID: 'a', Event: 'New' });
    expect([...replay.items]).toEqual([['a', { first: 5, current: 5 }]]);
    expect(() => replay.apply(6, { UniqueID: 'b' })).toThrow(DareError);
    expect(() => replay.apply(6, { Event: 'New' })).toThrow(DareError);
  });
});
