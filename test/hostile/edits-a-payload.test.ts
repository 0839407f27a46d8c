import { digestOf, type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Frames, refusalOf, type Scene, setScene } from './keeping-service.js';
import { refusals } from './refusals.js';

let scene: Scene;
beforeEach(async () => {
  scene = await setScene();
});
afterEach(() => scene.end());

const changedAt = (at: number, change: (octets: EnvelopeOctets) => EnvelopeOctets) => (frames: Frames) =>
  frames.map((octets, index) => (index === at ? change(octets) : octets));

const otherPayload = (octets: EnvelopeOctets): EnvelopeOctets => {
  const payload = Buffer.from(octets.payload ?? '');
  payload[0] = (payload[0] ?? 0) ^ 1;
  return { ...octets, payload };
};

/** With the digest of what it holds now. */
const resealed = (octets: EnvelopeOctets): EnvelopeOctets => {
  const { header, payload, trailer } = openEnvelope(otherPayload(octets));
  return makeEnvelope({
    header,
    payload,
    trailer: { ...trailer, PayloadDigest: digestOf(payload ?? new Uint8Array(0)) },
  });
};

const withMeta = (change: ContentMeta) => (octets: EnvelopeOctets) => {
  const { header, contentMetaData = {}, trailer, payload } = openEnvelope(octets);
  const meta = Buffer.from(JSON.stringify({ ...contentMetaData, ...change }));
  return makeEnvelope({ header: { ...header, ContentMetaData: meta }, payload, trailer });
};

describe('[R022] [S40] [S43] a service that edits an entry', () => {
  it('its payload: the digest beside it is another', async () => {
    scene.service.lies = { given: changedAt(2, otherPayload) };
    expect(await refusalOf(scene.fresh.sync())).toEqual(refusals.editsPayload);
    expect(await scene.fresh.frameCount()).toBeLessThan(3);
  });

  it('its payload, digest, heads and all: no manifest covers it', async () => {
    scene.service.lies = { shown: changedAt(2, resealed) };
    expect(await refusalOf(scene.fresh.sync())).toEqual({
      code: 'frame',
      message: expect.stringMatching(/the manifest of frame 2 does not verify/),
    });
    expect(await scene.fresh.frameCount()).toBeLessThan(3);
  });

  it('its key, or that it is a deletion: both are signed', async () => {
    for (const change of [{ UniqueID: 'another' }, { Event: 'Delete' }]) {
      scene.service.lies = { shown: changedAt(2, withMeta(change)) };
      const fresh = await scene.home.fresh();
      expect(await refusalOf(fresh.sync())).toEqual({
        code: 'frame',
        message: expect.stringMatching(/the manifest of frame 2 does not verify/),
      });
      await fresh.remove();
    }
  });

  it('to a device that has it already: the signed root is another', async () => {
    scene.service.lies = { shown: changedAt(2, resealed) };
    expect(await refusalOf(scene.home.sync())).toEqual({
      code: 'fork',
      message: expect.stringMatching(
        /two histories of my_Notes|my_Notes .*is not the one that this device has verified/,
      ),
    });
  });
});
