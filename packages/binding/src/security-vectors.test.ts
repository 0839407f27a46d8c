import { readFileSync } from 'node:fs';
import { sha512 } from '@meshd/crypto/digest';
import { importPublicKey, verify } from '@meshd/crypto/ed448';
import { describe, expect, it } from 'vitest';
import { credDigest, reqAuth, requestInput, responseInput } from './credential.js';

interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly input: Record<string, string>;
  readonly expected: Record<string, string | boolean>;
}

const file = new URL('../../../test/vectors/security.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] };
const ofKind = (kind: string) => vectors.filter((vector) => vector.kind === kind);
const octets = (text: string | boolean | undefined) => Buffer.from(String(text), 'base64url');
const utf8 = (text: string | undefined) => Buffer.from(text ?? '', 'utf8');

describe('vectors of requests and responses', () => {
  it.each(ofKind('requestSignature'))('[S21] $name', ({ input, expected }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const credentials = credDigest({
      profile: utf8(input.profilePayloadUtf8),
      connection: utf8(input.connectionPayloadUtf8),
      account: utf8(input.accountPayloadUtf8),
    });
    const signed = requestInput(input.service ?? '', digest, credentials);
    const signature = octets(expected.signature);
    expect(Buffer.from(digest)).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(credentials)).toEqual(octets(expected.credDigest));
    expect(Buffer.from(signed).toString('hex')).toBe(expected.signedHex);
    expect(verify(importPublicKey(octets(input.keyPublic)), signed, signature)).toBe(true);
    expect(Buffer.from(reqAuth([{ kid: input.kid ?? '', signature }]))).toEqual(octets(expected.reqAuth));
  });

  it.each(ofKind('responseSignature'))('[S22] $name', ({ input, expected }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const credentials = credDigest({
      profile: utf8(input.profilePayloadUtf8),
      connection: utf8(input.connectionPayloadUtf8),
    });
    const signed = responseInput({
      service: input.service ?? '',
      requestPayloadDigest: octets(input.requestPayloadDigest),
      reqAuth: octets(input.reqAuth),
      responsePayloadDigest: digest,
      credDigest: credentials,
    });
    expect(Buffer.from(digest)).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(credentials)).toEqual(octets(expected.credDigest));
    expect(Buffer.from(signed).toString('hex')).toBe(expected.signedHex);
    expect(verify(importPublicKey(octets(input.hostPublic)), signed, octets(expected.signature))).toBe(true);
  });

  it.each(ofKind('negative').filter(({ name }) => name.startsWith('request-')))('[S02] [S21] $name', ({ input }) => {
    const digest = sha512(utf8(input.payloadUtf8));
    const key = importPublicKey(octets(input.keyPublic));
    const signature = octets(input.signature);
    // It is a good signature of a stored object, and so none of a request whatever the credentials are.
    expect(verify(key, digest, signature)).toBe(true);
    expect(verify(key, requestInput(input.service ?? '', digest, credDigest({})), signature)).toBe(false);
  });

  it.each(ofKind('reqAuthEmpty'))('[S22] [S23] $name', ({ input, expected }) => {
    expect(Buffer.from(sha512(utf8(input.payloadUtf8)))).toEqual(octets(expected.payloadDigest));
    expect(Buffer.from(reqAuth([]))).toEqual(octets(expected.reqAuth));
  });
});
