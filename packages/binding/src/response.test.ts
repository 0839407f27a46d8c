import { randomBytes } from 'node:crypto';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { makeEnvelope, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { MeshResponse } from '@meshd/schema/common';
import { MeshHelloResponse, StatusResponse } from '@meshd/schema/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostIdentity } from './host-files.js';
import { reqAuthOf } from './request-authenticate.js';
import { receiveRequest } from './request-open.js';
import type { SentRequest } from './request-sign.js';
import { checkResponse, openResponse } from './response-open.js';
import { ResponseStream, signResponse } from './response-sign.js';
import { build, type Device, domain, makeDevice, makeHost, newKey } from './test-fixtures.js';

let identity: HostIdentity;
let device: Device;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ identity, remove } = await makeHost());
  device = makeDevice();
});
afterAll(() => remove());

const request = () =>
  build('Status', { Account: 'alice@example.com' }, [{ key: device.authentication, connection: device.connection }]);

/** What the service's half knows of a body. */
function answered(body: Uint8Array) {
  const { payloadDigest, entries, base } = receiveRequest(body, 'json');
  return { service: base.service, payloadDigest, reqAuth: reqAuthOf(entries) };
}

const payloadFor = (sent: SentRequest, members: object = {}) =>
  encodeTagged(StatusResponse, { Status: 201, ID: sent.id, ...members }, 'json');

async function judged(body: Uint8Array, sent: SentRequest, key = identity.signingKey.publicKey): Promise<string> {
  try {
    await checkResponse(openResponse(sent.transaction, body), sent, key);
    return 'accepted';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('[S22] responses', () => {
  it('are accepted by who sent the request', async () => {
    const { body, sent } = await request();
    const answer = await signResponse(identity, answered(body), payloadFor(sent));
    expect(await judged(answer, sent)).toBe('accepted');
  });

  it('are refused by another caller who sent the same payload', async () => {
    const { body, sent } = await request();
    const stranger = makeDevice();
    const other = await build(
      'Status',
      { Account: 'alice@example.com' },
      [{ key: stranger.authentication, connection: stranger.connection }],
      { id: sent.id },
    );
    expect(Buffer.from(other.sent.payloadDigest)).toEqual(Buffer.from(sent.payloadDigest));
    const answer = await signResponse(identity, answered(body), payloadFor(sent));
    expect(await judged(answer, other.sent)).toBe('response-refused');
  });

  it('are refused as the answer to another Hello', async () => {
    const [first, second] = [await build('Hello', {}, []), await build('Hello', {}, [])];
    const payload = encodeTagged(MeshHelloResponse, { Status: 201, ID: second.sent.id }, 'json');
    const stale = await signResponse(identity, answered(first.body), payload);
    expect(await judged(stale, first.sent)).toBe('response-refused');
    expect(await judged(stale, second.sent)).toBe('response-refused');
  });

  it('are refused under another key, with another payload, credential, ID, or without Status', async () => {
    const { body, sent } = await request();
    const answer = await signResponse(identity, answered(body), payloadFor(sent));
    expect(await judged(answer, sent, newKey().publicKey)).toBe('response-refused');
    const opened = openEnvelope(readEnvelope(answer));
    const put = (parts: object) =>
      writeEnvelope(
        makeEnvelope({ header: opened.header, payload: opened.payload, trailer: opened.trailer, ...parts }),
      );
    const payload = payloadFor(sent, { StatusDescription: 'other' });
    const signatures = opened.signatures;
    expect(await judged(put({ payload }), sent)).toBe('response-form');
    expect(await judged(put({ payload, trailer: { signatures } }), sent)).toBe('response-refused');
    const swapped = signatures.map((entry) => ({ ...entry, Connection: entry.Profile }));
    expect(await judged(put({ trailer: { signatures: swapped } }), sent)).toBe('response-refused');
    expect(await judged(put({ trailer: {} }), sent)).toBe('response-form');
    const renamed = signatures.map((entry) => ({ ...entry, kid: newKey().publicKey.udf }));
    expect(await judged(put({ trailer: { signatures: renamed } }), sent)).toBe('response-refused');
    const twice = [...signatures, ...signatures];
    expect(await judged(put({ trailer: { signatures: twice } }), sent)).toBe('response-form');
    const otherId = await signResponse(identity, answered(body), payloadFor({ ...sent, id: new Uint8Array(24) }));
    expect(await judged(otherId, sent)).toBe('response-refused');
    const bare = await signResponse(identity, answered(body), encodeTagged(StatusResponse, { ID: sent.id }, 'json'));
    expect(await judged(bare, sent)).toBe('response-refused');
  });

  it('[S02] are no stored objects: an S512 signature of the host key is refused', async () => {
    const { sent } = await request();
    const stored = signEnvelope({ payload: payloadFor(sent), keys: [identity.signingKey] });
    expect(await judged(writeEnvelope(stored), sent)).toBe('response-form');
  });

  it('[R311] may be of an ancestor class, but not of another one', async () => {
    const { body, sent } = await request();
    const ancestor = encodeTagged(MeshResponse, { Status: 501, ID: sent.id }, 'json');
    expect(await judged(await signResponse(identity, answered(body), ancestor), sent)).toBe('accepted');
    const other = encodeTagged(MeshHelloResponse, { Status: 201, ID: sent.id }, 'json');
    expect(await judged(await signResponse(identity, answered(body), other), sent)).toBe('response-form');
  });

  it('carry the host with them', async () => {
    const { body, sent } = await request();
    const answer = await signResponse(identity, answered(body), payloadFor(sent));
    const { entry } = openResponse('Status', answer);
    expect(Buffer.from(entry.profile?.payload ?? '')).toEqual(Buffer.from(identity.profileHost.payload ?? ''));
    expect(Buffer.from(entry.connection?.payload ?? '')).toEqual(Buffer.from(identity.connectionHost.payload ?? ''));
  });
});

describe('a response written piece by piece', () => {
  const run = async (pieces: readonly { octets: Uint8Array; encode: boolean }[]) => {
    const parts: Uint8Array[] = [];
    const { body, sent } = await request();
    const stream = new ResponseStream(identity, answered(body), (octets) => {
      parts.push(Uint8Array.from(octets));
      return undefined;
    });
    for (const { octets, encode } of pieces) await (encode ? stream.writeBinary(octets) : stream.write(octets));
    await stream.finish();
    return { text: Buffer.concat(parts), answered: answered(body), sent };
  };

  it('has the octets of one written at once', async () => {
    const piece = fc.record({ octets: fc.uint8Array({ maxLength: 90_000 }), encode: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8, size: 'max' }), async (pieces) => {
        const { text } = await run(pieces);
        const payload = Buffer.concat(
          pieces.map(({ octets, encode }) =>
            encode ? Buffer.from(`"${Buffer.from(octets).toString('base64url')}"`) : Buffer.from(octets),
          ),
        );
        expect(Buffer.from(readEnvelope(text).payload ?? '').equals(payload)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('leaves octets alone while they are being sent', async () => {
    const { body } = await request();
    const payload = Buffer.alloc(1_000_000, randomBytes(999));
    const parts: Uint8Array[] = [];
    const stream = new ResponseStream(identity, answered(body), async (octets) => {
      const given = Uint8Array.from(octets);
      // Whoever goes on without waiting would have written over them by now.
      await turnOfTheLoop();
      expect(Buffer.compare(octets, given)).toBe(0);
      parts.push(given);
    });
    await stream.write(payload);
    await stream.finish();
    expect(Buffer.from(readEnvelope(Buffer.concat(parts)).payload ?? '').equals(payload)).toBe(true);
  });

  it('fails as its writer fails', async () => {
    const { body } = await request();
    const stream = new ResponseStream(identity, answered(body), async () => {
      throw new Error('gone');
    });
    const write = async () => {
      await stream.write(new Uint8Array(1_000_000));
      await stream.finish();
    };
    await expect(write()).rejects.toThrow('gone');
  });

  it(`is accepted by the client for ${domain}`, async () => {
    const { body, sent } = await request();
    const parts: Uint8Array[] = [];
    const stream = new ResponseStream(identity, answered(body), (octets) => {
      parts.push(Uint8Array.from(octets));
      return undefined;
    });
    for (const octet of payloadFor(sent)) await stream.write(Uint8Array.of(octet));
    await stream.finish();
    expect(await judged(Buffer.concat(parts), sent)).toBe('accepted');
  });
});
