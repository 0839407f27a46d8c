/**
 * Decoding a whole Upload request around a payload of 64 KB, from the body of the HTTP request to the octets of the
 * frame: beside `JSON.parse` and base64 alone for JSON, beside our own JSON for JSON-B.
 */
import { randomBytes } from 'node:crypto';
import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { decodeTagged, encodeTagged } from '@meshd/encoding/codec';
import { requestRegistry, UploadRequest } from '@meshd/schema/protocol';
import { byTurns, type Figure, type Measurement, type Work } from './harness.ts';

const payloadBytes = 64 * 1024;
const repetitions = 4000;
const sliceItems = 200;

type Form = 'json' | 'json-b';

/** One request as the body of an HTTP request: a signed frame inside a message inside an envelope. */
function uploadBody(form: Form): Uint8Array {
  const key = signingKeyFromSeed(generateSeed());
  const frame = signEnvelope({
    payload: randomBytes(payloadBytes),
    keys: [key],
    contentMeta: { UniqueID: 'NAAA', Event: 'New' },
    header: { ContainerInfo: { Index: 1 } },
  });
  const message = {
    Service: 'example.com',
    ID: randomBytes(24),
    Account: 'alice@example.com',
    Updates: [{ Container: 'mmm_Credential', Index: 1, Envelopes: [frame] }],
  };
  const payload = encodeTagged(UploadRequest, message, form, 'Upload');
  const entry = { alg: 'S512-REQ1', kid: key.publicKey.udf, signature: key.sign(randomBytes(64)) };
  const body = makeEnvelope({ header: { dig: 'S512' }, payload, trailer: { signatures: [entry] } });
  return writeEnvelope(body, form);
}

/** As a router does: the envelope, its trailer, the message in it, repeated members refused. */
function decodeOnce(body: Uint8Array, form: Form): number {
  const opened = openEnvelope(readEnvelope(body, form));
  const request = decodeTagged(requestRegistry, opened.payload as Uint8Array, { form, refuseRepeated: true });
  if (request.tag !== 'Upload') throw new Error('not the request that was written');
  return request.value.Updates?.[0]?.Envelopes?.[0]?.payload?.length ?? 0;
}

/** The same octets with nothing but what node brings: structure and base64, no types, no checks. */
function parseOnce(body: Uint8Array): number {
  const [, outer] = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'));
  const message = JSON.parse(Buffer.from(outer, 'base64url').toString('utf8'));
  return Buffer.from(message.Upload.Updates[0].Envelopes[0][1], 'base64url').length;
}

function repeated(decode: () => number): Work {
  return (from, to) => {
    for (let at = from; at < to; at += 1) {
      if (decode() !== payloadBytes) throw new Error('the payload came out in another length');
    }
  };
}

function against(value: () => number, limit: () => number): Measurement {
  return byTurns(repetitions, sliceItems, repeated(value), repeated(limit));
}

export const decodeUpload: Figure = {
  name: 'decode-upload',
  unit: 'requestsPerSecond',
  target: 0.4,
  direction: 'at least',
  limitIs: 'JSON.parse and base64 of the same octets',
  prepare() {
    const body = uploadBody('json');
    return against(
      () => decodeOnce(body, 'json'),
      () => parseOnce(body),
    );
  },
};

export const jsonBDecode: Figure = {
  name: 'jsonb-decode',
  unit: 'requestsPerSecond',
  target: 2,
  direction: 'at least',
  limitIs: 'our JSON decoding of the same request',
  prepare() {
    const [jsonB, json] = [uploadBody('json-b'), uploadBody('json')];
    return against(
      () => decodeOnce(jsonB, 'json-b'),
      () => decodeOnce(json, 'json'),
    );
  },
};
