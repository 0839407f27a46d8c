import { importPublicKey } from '@meshd/crypto/ed448';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { describe, expect, test } from 'vitest';
import { openEnvelope, readEnvelope } from './envelope.js';
import { toHex, utf8, vectorsOf } from './vectors.fixture.js';
import { verifyEnvelopeSync } from './verify.js';

const objectOf = (value: JsonValue | undefined): JsonObject => value as JsonObject;

/** Every `{"UDF", "PublicParameters"}` in a value of any shape, its UDF checked against its key. */
function keysIn(value: JsonValue): ReturnType<typeof importPublicKey>[] {
  if (Array.isArray(value)) return value.flatMap(keysIn);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [];
  const parameters = objectOf(objectOf(value.PublicParameters)?.PublicKeyECDH);
  if (value.PublicParameters === undefined) return Object.values(value).flatMap(keysIn);
  const key = importPublicKey(decodeBase64Url(parameters.Public as string));
  expect(key.udf).toBe(value.UDF);
  return [key];
}

describe("the draft's own messages", () => {
  for (const { name, input, expected } of vectorsOf('messages.json', 'message')) {
    test(`[R070] [R302] ${name}: every digest, key UDF and signature`, () => {
      const message = objectOf(parseJson(utf8(input.text)));
      expect(Object.keys(message)).toEqual([expected.tag]);
      const body = objectOf(message[expected.tag]);
      expect(Object.keys(body)).toEqual(expected.members);
      if (expected.Status !== undefined) expect(body.Status).toBe(expected.Status);
      const opened = Object.values(body)
        .filter(Array.isArray)
        .map((value) => openEnvelope(readEnvelope(writeJson(value))));
      expect(opened.length).toBe(expected.envelopes);
      // An account is signed by a key of the Mesh profile beside it, every profile by a key of its own.
      const keys = opened.flatMap((envelope) => keysIn(parseJson(envelope.payload as Uint8Array)));
      for (const envelope of opened) {
        const verified = verifyEnvelopeSync(envelope, (kid) => keys.find((key) => key.udf === kid));
        expect(verified.signers.length).toBe(1);
        expect(toHex(envelope.payloadDigest as Uint8Array)).toBe(toHex(verified.payloadDigest));
      }
    });
  }
});
