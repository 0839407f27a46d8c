import { concat, sha512 } from '@meshd/crypto/digest';
import { importPublicKey } from '@meshd/crypto/ed448';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreOf, coreOfFrame, leafOfFrame, logId } from './core.js';
import {
  checkPayloadDigest,
  makeEnvelope,
  openEnvelope,
  readEnvelope,
  redactEnvelope,
  writeEnvelope,
} from './envelope.js';
import { DareError } from './errors.js';
import { envelopeOfVector, type VectorFrame, writer } from './frames.fixture.js';
import {
  appendLeaf,
  consistencyProof,
  emptyLog,
  emptyRoot,
  inclusionProof,
  root,
  verifyConsistency,
  verifyInclusion,
} from './log-tree.js';
import {
  decodeManifest,
  encodeManifest,
  manifestBody,
  manifestKinds,
  recipientsObject,
  recipientsOf,
  signManifest,
  verifyManifest,
  verifyManifestSync,
} from './manifest.js';
import { b64, toHex, utf8, vectorsOf } from './vectors.fixture.js';

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

describe('container vectors', () => {
  for (const { name, input, expected } of vectorsOf('security.json', 'frames')) {
    const envelopes = (input.frames as VectorFrame[]).map(envelopeOfVector);
    const cores = envelopes.map((envelope) => coreOfFrame(envelope, checkPayloadDigest(envelope)));
    const leaves = envelopes.map((envelope, index) =>
      leafOfFrame(index, cores[index] as Uint8Array, envelope.signatures),
    );

    test(`[S40] [S44] ${name}: cores, leaves, running roots, log`, () => {
      let log = emptyLog;
      for (const [index, frame] of expected.frames.entries()) {
        expect(text(cores[index] as Uint8Array)).toBe(frame.core);
        expect(text(leaves[index] as Uint8Array)).toBe(frame.leaf);
        log = appendLeaf(log, leaves[index] as Uint8Array);
        expect(text(root(log))).toBe(frame.root);
      }
      expect(text(emptyRoot)).toBe(expected.emptyRoot);
      expect(text(logId(input.account, input.container, leaves[0] as Uint8Array))).toBe(expected.log);
    });

    test(`[S41] ${name}: manifests`, async () => {
      const signer = importPublicKey(b64(input.signerPublic));
      for (const [index, envelope] of envelopes.entries()) {
        for (const entry of envelope.signatures) {
          const manifest = decodeManifest(entry.Manifest as Uint8Array);
          expect(toHex(manifest.body)).toBe(expected.frames[index].manifestBodyHex);
          expect(toHex(manifestBody(manifest))).toBe(toHex(manifest.body));
          expect(toHex(encodeManifest(manifest))).toBe(toHex(entry.Manifest as Uint8Array));
          expect(manifest).toMatchObject({ kind: 1, index, subject: input.account, object: input.container });
          expect(await verifyManifest(signer, manifest, cores[index] as Uint8Array)).toBe(true);
          expect(verifyManifestSync(signer, manifest, cores[(index + 1) % 7] as Uint8Array)).toBe(false);
        }
      }
    });

    test(`[S46] ${name}: inclusion and consistency`, () => {
      const rootOf = (count: number) => root(leaves.slice(0, count).reduce(appendLeaf, emptyLog));
      for (const { index, size, path } of expected.inclusion) {
        expect(inclusionProof(leaves.slice(0, size), index).map(text)).toEqual(path);
        const claim = { frameIndex: index, frameCount: size, leaf: leaves[index] as Uint8Array, path: path.map(b64) };
        expect(verifyInclusion({ ...claim, root: rootOf(size) })).toBe(true);
        expect(verifyInclusion({ ...claim, frameIndex: index - 1, root: rootOf(size) })).toBe(false);
      }
      for (const { from, to, path } of expected.consistency) {
        expect(consistencyProof(leaves.slice(0, to), from).map(text)).toEqual(path);
        const claim = { fromCount: from, toCount: to, fromRoot: rootOf(from), toRoot: rootOf(to) };
        expect(verifyConsistency({ ...claim, path: path.map(b64) })).toBe(true);
        expect(verifyConsistency({ ...claim, path: [...path, path[0]].map(b64) })).toBe(false);
      }
    });

    test(`[S40] ${name}: re-serialising to JSON-B and back, or redacting, changes no core and no leaf`, () => {
      for (const [index, { octets }] of envelopes.entries()) {
        const there = openEnvelope(readEnvelope(writeEnvelope(octets, 'json-b'), 'json-b'));
        const redacted = openEnvelope(redactEnvelope(octets));
        for (const envelope of [there, redacted]) {
          const core = coreOfFrame(envelope, envelope.payloadDigest ?? checkPayloadDigest(envelope));
          expect(text(core)).toBe(text(cores[index] as Uint8Array));
          expect(text(leafOfFrame(index, core, envelope.signatures))).toBe(text(leaves[index] as Uint8Array));
        }
      }
    });

    test(`[S44] ${name}: same payloads, one header changed: another root`, () => {
      const frames = (input.frames as VectorFrame[]).map((frame) =>
        frame.index === 2 ? { ...frame, contentMetaDataUtf8: `${frame.contentMetaDataUtf8} ` } : frame,
      );
      const changed = frames.map(envelopeOfVector).map((envelope, index) => {
        return leafOfFrame(index, coreOfFrame(envelope, checkPayloadDigest(envelope)), envelope.signatures);
      });
      expect(text(root(changed.reduce(appendLeaf, emptyLog)))).not.toBe(expected.frames.at(-1).root);
    });
  }

  test('[S40] erasing Salt and writing Malt keeps the core', () => {
    const parts = { payloadDigest: sha512(), contentMetaData: utf8('{}'), enc: 'A256GCM', recipients: [] };
    const salt = Buffer.alloc(16, 3);
    expect(text(coreOf({ ...parts, malt: sha512(salt) }))).toBe(text(coreOf({ ...parts, salt })));
    expect(() => coreOf({ ...parts, malt: new Uint8Array(63) })).toThrow(DareError);
    expect(() => coreOf({ ...parts, payloadDigest: new Uint8Array(32) })).toThrow(DareError);
  });

  test('[S44] entries that prove nothing enter no leaf', () => {
    const core = sha512();
    const announced = [{ alg: 'S512', kid: 'MAAA' }];
    expect(text(leafOfFrame(1, core, announced))).toBe(text(leafOfFrame(1, core, [])));
    const proof = [{ alg: 'S512', kid: 'MAAA', signature: new Uint8Array(114) }];
    expect(text(leafOfFrame(1, core, proof))).not.toBe(text(leafOfFrame(1, core, [])));
  });
});

describe('message manifests', () => {
  for (const { name, input, expected } of vectorsOf('security.json', 'messageManifest')) {
    test(`[S41] ${name}`, () => {
      const payload = utf8(input.payloadUtf8);
      const octets = makeEnvelope({ header: { ContentMetaData: utf8(input.contentMetaDataUtf8) }, payload });
      const core = coreOfFrame(openEnvelope(octets), sha512(payload));
      expect(text(core)).toBe(expected.core);
      const manifest = decodeManifest(b64(expected.manifest));
      expect(toHex(manifest.body)).toBe(expected.bodyHex);
      expect(manifest).toMatchObject({ kind: manifestKinds.message, from: 0, index: 0, createdMs: input.createdMs });
      expect(manifest.subject).toBe(input.sender);
      expect(recipientsOf(manifest)).toEqual(input.recipients);
      const made = manifestBody({ ...manifest, object: recipientsObject(input.recipients) });
      expect(toHex(made)).toBe(expected.bodyHex);
      const signer = importPublicKey(b64(input.signerPublic));
      expect(verifyManifestSync(signer, manifest, core)).toBe(true);
    });
  }
});

describe('manifests as octets', () => {
  const fields = {
    kind: manifestKinds.frame,
    from: 1,
    index: 5,
    root: Buffer.alloc(32, 1),
    createdMs: 1_800_000_000_000,
    subject: 'MABC',
    object: 'mmm_Credential',
  };
  const core = sha512(utf8('core'));
  const octets = signManifest(writer, fields, core);

  test('[S41] what was signed reads back and verifies for this core alone', () => {
    const manifest = decodeManifest(octets);
    expect(manifest).toMatchObject({ kind: 1, from: 1, index: 5, subject: 'MABC', object: 'mmm_Credential' });
    expect(verifyManifestSync(writer.publicKey, manifest, core)).toBe(true);
    expect(verifyManifestSync(writer.publicKey, manifest, sha512())).toBe(false);
  });

  test('[S41] trailing octets, unknown version and kind, every cut are refused', () => {
    expect(() => decodeManifest(concat(octets, Uint8Array.of(0)))).toThrow(DareError);
    const changed = (at: number, to: number) => Uint8Array.from(octets, (octet, index) => (index === at ? to : octet));
    expect(() => decodeManifest(changed(0, 2))).toThrow(/version/);
    expect(() => decodeManifest(changed(1, 4))).toThrow(/kind/);
    expect(() => decodeManifest(changed(1, 0))).toThrow(/kind/);
    for (let end = 0; end < octets.length; end += 1)
      expect(() => decodeManifest(octets.subarray(0, end))).toThrow(DareError);
  });

  test('[S41] integers beyond 2^53 and text that is no UTF-8 are refused', () => {
    const big = Uint8Array.from(octets);
    big[2] = 0xff;
    expect(() => decodeManifest(big)).toThrow(/2\^53/);
    const broken = Uint8Array.from(octets);
    broken[58 + 4] = 0xff;
    expect(() => decodeManifest(broken)).toThrow(/UTF-8/);
  });

  test('[S41] any octets either give a manifest or a DareError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (random) => {
        try {
          decodeManifest(random);
        } catch (error) {
          expect(error).toBeInstanceOf(DareError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('[S41] a manifest flipped anywhere does not verify', () => {
    for (let at = 0; at < octets.length; at += 7) {
      const flipped = Uint8Array.from(octets);
      flipped[at] = (flipped[at] as number) ^ 1;
      let valid = false;
      try {
        valid = verifyManifestSync(writer.publicKey, decodeManifest(flipped), core);
      } catch (error) {
        expect(error).toBeInstanceOf(DareError);
      }
      expect(valid).toBe(false);
    }
  });
});
