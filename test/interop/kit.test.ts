/** This suite's own client against the published vectors: only then may it judge a provider. */
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Container } from './kit/container.js';
import type { Opened, SignatureEntry } from './kit/dare.js';
import { blindedKey } from './kit/decrypt.js';
import { contentUdf, keyUdf, newKey, verify } from './kit/keys.js';
import { readManifest } from './kit/manifest.js';
import { b64, concat, label, lv, sha512, unb64, utf8 } from './kit/octets.js';
import { coreOf, leafOf, logOf, rootOf, treeDigests } from './kit/trees.js';

interface Vector {
  readonly name: string;
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has a shape of its own
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has a shape of its own
  readonly expected: any;
}

async function vectors(file: string, kind: string): Promise<Vector[]> {
  const path = new URL(`../vectors/${file}`, import.meta.url);
  const all = (JSON.parse(await readFile(path, 'utf8')) as { vectors: Vector[] }).vectors;
  const found = all.filter((vector) => vector.kind === kind);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

interface VectorFrame {
  readonly contentMetaDataUtf8: string;
  readonly enc: string;
  readonly salt: string;
  readonly recipients: readonly { kid: string; epk: string; wmk: string }[];
  readonly payload: string;
  readonly signatures: readonly SignatureEntry[];
}

const openedOf = (frame: VectorFrame): Opened => ({
  header: {
    ...(frame.enc === '' ? {} : { enc: frame.enc }),
    ...(frame.salt === '' ? {} : { Salt: frame.salt }),
    recipients: frame.recipients.map(({ epk, ...rest }) => ({ ...rest, epk: { PublicKeyECDH: { Public: epk } } })),
  },
  payload: unb64(frame.payload),
  trailer: { signatures: frame.signatures },
  meta: {},
  metaOctets: utf8(frame.contentMetaDataUtf8),
});

describe('independence', () => {
  it('this suite imports nothing of the project but what starts a provider', async () => {
    const folder = new URL('.', import.meta.url);
    const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const foreign: string[] = [];
    for (const name of names) {
      const source = await readFile(new URL(name, folder), 'utf8');
      for (const [, module] of source.matchAll(/(?:from |import\()'([^']+)'/g)) {
        const allowed = /^(node:|\.\/|pg$|vitest$|@noble\/curves\/|@meshd\/dev\/test-provider$)/;
        if (!allowed.test(module ?? '')) foreign.push(`${name}: ${module}`);
      }
    }
    expect(foreign).toEqual([]);
    expect(names.length).toBeGreaterThan(20);
  });
});

describe('fingerprints', () => {
  it('[R305] are the published ones', async () => {
    for (const { input, expected } of await vectors('udf.json', 'contentDigest')) {
      if (input.algorithm !== 'SHA-2-512') continue;
      const text = contentUdf(utf8(input.dataUtf8), input.contentType, input.bits);
      expect(JSON.stringify(expected)).toContain(text);
    }
    const keys = (await vectors('udf.json', 'keyFingerprint')).filter(({ input }) => input.crv === 'Ed448');
    expect(keys.length).toBeGreaterThan(0);
    for (const { input, expected } of keys) expect(JSON.stringify(expected)).toContain(keyUdf(unb64(input.public)));
  });

  it('fit the keys that this suite makes', () => {
    const key = newKey();
    expect(key.udf).toMatch(/^M[A-Z2-7]{3}(-[A-Z2-7]{4}){6}$/);
    expect(verify(key.raw, utf8('x'), key.sign(utf8('x')))).toBe(true);
  });
});

describe('trees and manifests', () => {
  it('[S40] [S41] [S44] give the cores, leaves, roots and the log of the vectors', async () => {
    for (const { input, expected } of await vectors('security.json', 'frames')) {
      const leaves: Uint8Array[] = [];
      for (const [index, frame] of (input.frames as VectorFrame[]).entries()) {
        const opened = openedOf(frame);
        const want = expected.frames[index];
        expect(b64(coreOf(opened))).toBe(want.core);
        const manifest = frame.signatures.find((entry) => entry.Manifest !== undefined)?.Manifest;
        if (manifest !== undefined) {
          const fields = readManifest(unb64(manifest), unb64(input.signerPublic), coreOf(opened));
          expect(fields).toMatchObject({ index, subject: input.account, object: input.container });
          expect(b64(fields?.root as Uint8Array)).toBe(b64(rootOf(leaves)));
        }
        leaves.push(leafOf(index, opened));
        expect(b64(leaves[index] as Uint8Array)).toBe(want.leaf);
        expect(b64(rootOf(leaves))).toBe(want.root);
      }
      expect(b64(logOf(input.account, input.container, leaves[0] as Uint8Array))).toBe(expected.log);
    }
  });

  it('[R229] give the digests of a Merkle container', async () => {
    for (const { input, expected } of await vectors('container.json', 'merkle')) {
      const digests = (input.payloadDigests as string[]).map(unb64);
      expect(treeDigests(digests).map(b64)).toEqual(expected);
    }
  });

  it('[S42] write batches whose manifests verify', () => {
    const key = newKey();
    const container = new Container('mmm_Credential', 'MAAA');
    expect(rootOf(container.leaves)).toEqual(rootOf([]));
    container.frames.push(container.opening(key));
    container.frames.push(...container.batch([{ payload: utf8('{}'), meta: { UniqueID: 'a', Event: 'New' } }], key));
    expect(container.leaves).toHaveLength(2);
  });
});

describe('encryption', () => {
  it('[S63] blinds the key of the vector', async () => {
    for (const { input, expected } of await vectors('security.json', 'blindKey')) {
      const keyBlind = Buffer.from(input.keyBlindHex, 'hex');
      expect(blindedKey(keyBlind, input.container, input.plainKey)).toBe(expected.UniqueID);
    }
  });
});

describe('requests and responses', () => {
  it('[S21] [S22] sign the octets of the vectors', async () => {
    for (const { input, expected } of await vectors('security.json', 'requestSignature')) {
      const digest = sha512(utf8(input.payloadUtf8));
      const parts = [input.profilePayloadUtf8, input.connectionPayloadUtf8, input.accountPayloadUtf8];
      const cred = sha512(label('mesh-cred-1'), ...parts.map((part: string) => lv(part)));
      const bound = concat(label('mesh-request-1'), lv(input.service as string), digest, cred);
      expect(Buffer.from(bound).toString('hex')).toBe(expected.signedHex);
      expect(verify(unb64(input.keyPublic), bound, unb64(expected.signature))).toBe(true);
      expect(keyUdf(unb64(input.keyPublic))).toBe(input.kid);
      const reqAuth = sha512(label('mesh-reqauth-1'), lv(input.kid as string), lv(unb64(expected.signature)));
      expect(b64(reqAuth)).toBe(expected.reqAuth);
    }
    for (const { expected } of await vectors('security.json', 'reqAuthEmpty')) {
      expect(b64(sha512(label('mesh-reqauth-1')))).toBe(expected.reqAuth);
    }
  });
});
