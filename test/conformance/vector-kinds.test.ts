/**
 * Every vector is run. A new kind in a vector file fails here until somebody has written its test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const vectors = new URL('test/vectors/', root);

/** Kind to the test file that runs it; the file must name the kind. */
const runBy: Readonly<Record<string, string>> = {
  contentDigest: 'packages/crypto/src/udf.test.ts',
  keyFingerprint: 'packages/crypto/src/udf.test.ts',
  oidSequence: 'packages/crypto/src/udf.test.ts',
  symmetricKey: 'packages/crypto/src/udf.test.ts',
  parse: 'packages/crypto/src/udf.test.ts',
  authenticatorKey: 'packages/crypto/src/udf.test.ts',
  earlIdentifier: 'packages/crypto/src/udf.test.ts',
  derivedKey: 'packages/crypto/src/udf.test.ts',
  jsonb: 'packages/encoding/src/json-b.test.ts',
  signedEnvelope: 'packages/dare/src/envelope.test.ts',
  message: 'packages/dare/src/messages.test.ts',
  encryptedEnvelope: 'packages/dare/src/encrypt.test.ts',
  encryptedEnvelopeEd448: 'packages/dare/src/encrypt.test.ts',
  encryptedAnnotations: 'packages/dare/src/encrypt.test.ts',
  gcmPayload: 'packages/dare/src/encrypt.test.ts',
  containerBytes: 'packages/dare/src/container-file.test.ts',
  treePositions: 'packages/dare/src/container-file.test.ts',
  payloadDigest: 'packages/dare/src/merkle.test.ts',
  previousFrame: 'packages/dare/src/merkle.test.ts',
  combineDigest: 'packages/dare/src/merkle.test.ts',
  legacyChain: 'packages/dare/src/merkle.test.ts',
  chain: 'packages/dare/src/merkle.test.ts',
  merkle: 'packages/dare/src/merkle.test.ts',
  frames: 'packages/dare/src/manifest.test.ts',
  messageManifest: 'packages/dare/src/manifest.test.ts',
  framesNegative: 'packages/dare/src/replay.test.ts',
  keyImport: 'packages/crypto/src/security-vectors.test.ts',
  signatureForms: 'packages/crypto/src/security-vectors.test.ts',
  seed56: 'packages/crypto/src/security-vectors.test.ts',
  agreement: 'packages/crypto/src/security-vectors.test.ts',
  combinedKey: 'packages/crypto/src/security-vectors.test.ts',
  attack: 'packages/crypto/src/security-vectors.test.ts',
  requestSignature: 'packages/binding/src/security-vectors.test.ts',
  responseSignature: 'packages/binding/src/security-vectors.test.ts',
  reqAuthEmpty: 'packages/binding/src/security-vectors.test.ts',
  negative: 'packages/binding/src/security-vectors.test.ts',
  ticketExchange: 'packages/binding/src/security-vectors.test.ts',
  ticketSeal: 'packages/binding/src/security-vectors.test.ts',
  ticketMac: 'packages/binding/src/security-vectors.test.ts',
  blindKey: 'packages/client/src/client.test.ts',
  connectCode: 'packages/client/src/connect/vectors.test.ts',
  connectPin: 'packages/client/src/connect/vectors.test.ts',
  earlOffer: 'packages/client/src/connect/vectors.test.ts',
};

function kindsOf(file: string): string[] {
  const { vectors: found } = JSON.parse(readFileSync(new URL(file, vectors), 'utf8')) as {
    vectors: { kind: string }[];
  };
  return found.map(({ kind }) => kind);
}

const files = readdirSync(vectors).filter((name) => name.endsWith('.json'));
const kinds = new Set(files.flatMap(kindsOf));

describe('test vectors', () => {
  test('all files of vectors are here', () => {
    expect(files.sort()).toEqual([
      'container.json',
      'encryption.json',
      'envelope.json',
      'jsonb.json',
      'messages.json',
      'security.json',
      'udf.json',
    ]);
  });

  test('every kind is run', () => {
    expect([...kinds].sort()).toEqual(Object.keys(runBy).sort());
  });

  test.each(Object.entries(runBy))('%s is run by %s', (kind, file) => {
    expect(readFileSync(new URL(file, root), 'utf8')).toMatch(new RegExp(`\\b${kind}\\b`));
  });
});
