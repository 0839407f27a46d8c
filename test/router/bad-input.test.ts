import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { loadHostIdentity } from '@meshd/binding/host-files';
import { HttpsPoster } from '@meshd/binding/http-client';
import { makeRequestId } from '@meshd/binding/request-id';
import { type RequestSigner, signRequest } from '@meshd/binding/request-sign';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { ConnectionAccount } from '@meshd/schema/connections';
import { ProfileDevice } from '@meshd/schema/profiles';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, fakeLink, type RunningRouter, refused, startTestRouter } from './router-kit.js';

/** What a request in JSON text is wrapped in, unsigned. */
const enveloped = (text: string) => `[{"dig":"S512"},"${Buffer.from(text).toString('base64url')}",{}]`;
const newKey = () => signingKeyFromSeed(generateSeed());
const keyMember = (key: SigningKey) => ({
  UDF: key.publicKey.udf,
  PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: key.publicKey.raw } } as const,
});
const account = 'alice@example.com';

let running: RunningRouter;
let connection: EnvelopeOctets;
const [accountKey, signature, authentication] = [newKey(), newKey(), newKey()];
const profileSigner = (): RequestSigner => ({ key: authentication, connection });

beforeAll(async () => {
  const body = { KeySignature: keyMember(signature), KeyAuthentication: keyMember(authentication) };
  connection = signEnvelope({ payload: encodeTagged(ConnectionAccount, body, 'json'), keys: [accountKey] });
  running = await startTestRouter({ sourceLimits: { signedRefusalsPerSecond: 1000 } });
});
afterAll(() => running.stop());

/** Sends a request through the client's half, which accepts an answer only if its signature holds. */
async function verified<T extends Transaction>(transaction: T, message: RequestOf<T>, signers: RequestSigner[]) {
  const link = running.connect();
  const { status, statusExtended, tag, httpStatus } = await link.call(transaction, message, signers);
  return { status, statusExtended, tag, httpStatus };
}

/** Posts a body and says which kind of answer came. */
async function post(body: Uint8Array | string, headers: Record<string, string> = {}) {
  const answer = await running.send({ body, headers });
  const isSigned = answer.body.startsWith('[');
  const text = isSigned ? Buffer.from(JSON.parse(answer.body)[1], 'base64url').toString('utf8') : answer.body;
  const [tag, message] = Object.entries(JSON.parse(text))[0] as [string, { Status: number; StatusExtended?: number }];
  return {
    http: answer.status,
    isSigned,
    tag,
    status: message.Status,
    extended: message.StatusExtended,
    headers: answer.headers,
  };
}

describe('HTTP', () => {
  it('[R049] [R057] refuses other methods with 405 and says which is allowed', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await running.send({ method });
      expect([method, status, headers.allow]).toEqual([method, 405, 'POST']);
    }
  });

  it('[R043] tells the two well-known services apart, and knows no others', async () => {
    const get = (path: string, host = domain) => running.send({ method: 'GET', path, headers: { host } });
    expect((await get('/.well-known/mmm-udf/MAAA-BBBB')).status).toBe(404);
    expect((await get('/.well-known/mmm-udf/MAAA-BBBB', 'c.example')).status).toBe(421);
    expect((await running.send({ path: '/.well-known/mmm-udf/MAAA-BBBB' })).status).toBe(405);
    for (const path of ['/', '/.well-known/', '/.well-known/mmmm', '/.well-known/mmm/x', '/%ff']) {
      expect((await running.send({ path, body: '{"Hello":{}}' })).status).toBe(404);
    }
  });

  it.each([
    ['text/plain', {}],
    ['application/json-b', {}],
    ['application/json; charset=latin1', {}],
    ['application/json; x=y', {}],
    ['', {}],
    ['application/json', { 'content-encoding': 'gzip' }],
  ])('[R059] [R060] [R088] refuses the type %j with 415', async (type, more) => {
    const { http, status } = await post('{"Hello":{}}', { 'content-type': type, ...more });
    expect([http, status]).toEqual([415, 415]);
  });

  it('[R055] [R059] [R060] takes the type without regard to case, the identity encoding, and any other header', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=UTF-8', 'x-anything': 'y', 'if-none-match': '*' };
    expect((await post('{"Hello":{}}', headers)).http).toBe(201);
    expect((await post('{"Hello":{}}', { 'content-encoding': 'identity' })).http).toBe(201);
    for (const encoding of ['br', 'deflate', 'identity, gzip']) {
      expect((await post('{"Hello":{}}', { 'content-encoding': encoding })).http).toBe(415);
    }
  });

  it('[R196] refuses another Host with 421, bare and signed', async () => {
    expect(await post('{"Hello":{}}', { host: 'c.example' })).toMatchObject({
      http: 421,
      status: 421,
      isSigned: false,
    });
    const { body } = await request('Hello', {}, []);
    expect(await post(body, { host: 'c.example' })).toMatchObject({ http: 421, status: 421, isSigned: true });
  });

  it('refuses a body over 16 MiB with 413', async () => {
    const stated = await running.send({ body: Buffer.alloc(16 * 1024 * 1024 + 1, 0x20) });
    expect(stated.status).toBe(413);
    const chunked = await running.send({
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(16 * 1024 * 1024 + 1, 0x20),
    });
    expect(chunked.status).toBe(413);
  });

  it('[R061] takes both framings and refuses both at once', async () => {
    expect((await post('{"Hello":{}}', { 'transfer-encoding': 'chunked' })).http).toBe(201);
    const both = await raw('Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{"Hello":{}}\r\n0\r\n\r\n');
    expect(both).toMatch(/^HTTP\/1.1 400 /);
    expect(both).toMatch(/connection: close/i);
  });

  it('[R051] leaves h2 out of ALPN, so that clients fall back', async () => {
    const { port } = running.router.address;
    const options = { host: '127.0.0.1', port, ca: running.ca, servername: domain, ALPNProtocols: ['h2', 'http/1.1'] };
    const chosen = await new Promise((resolve, reject) => {
      const socket = tlsConnect(options, () => {
        resolve(socket.alpnProtocol);
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect(chosen).toBe('http/1.1');
  });

  it('[R077] [S28] answers no plain HTTP', async () => {
    const { port } = running.router.address;
    await expect(fetch(`http://127.0.0.1:${port}/.well-known/mmm`, { method: 'POST' })).rejects.toThrow();
  });
});

describe('messages', () => {
  it.each([
    ['', 400, false],
    ['x', 400, false],
    ['{"Hello":', 400, false],
    ['{"Hello":{}} x', 400, false],
    ['[]', 400, false],
    ['[{}]', 400, false],
    ['[{},"!!!",{}]', 400, false],
    [`[{},"${'A'.repeat(10)}",{},{}]`, 400, false],
    ['{"Frobnicate":{}}', 400, false],
    ['{"Hello":{},"Status":{}}', 400, false],
    ['{"Status":{"Account":"alice@example.com"}}', 401, false],
    [enveloped('{"Frobnicate":{"Service":"example.com"}}'), 400, true],
    [enveloped('{"Hello":{},"Status":{}}'), 400, true],
    [enveloped('{"Status":{"Account":"a@b.c","Account":"d@e.f"}}'), 400, true],
    [enveloped('{"Status":{}}'), 400, true],
    [enveloped('not json'), 400, true],
  ])('refuses %j', async (body, status, isSigned) => {
    expect(await post(body)).toMatchObject({ http: status, status, isSigned });
  });

  it('[R311] answers in the declared class where it knows the transaction, else in MeshResponse', async () => {
    expect((await post(enveloped('{"Frobnicate":{}}'))).tag).toBe('MeshResponse');
    expect((await post(enveloped('{"Upload":{}}'))).tag).toBe('UploadResponse');
    expect((await post('x')).tag).toBe('MeshResponse');
  });

  it('survives nesting, long names, and members by the thousand', async () => {
    const deep = `{"Hello":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`;
    expect((await post(deep)).http).toBe(400);
    const wide = `{"Hello":{${Array.from({ length: 20_000 }, (_, at) => `"m${at}":1`).join(',')}}}`;
    expect([201, 400, 413]).toContain((await post(wide)).http);
  });
});

describe('authentication', () => {
  it('[R075] [R080] refuses what is not signed, with a signature of ours', async () => {
    for (const transaction of ['CreateAccount', 'DeleteAccount', 'Status', 'Download', 'Upload', 'Post'] as const) {
      expect(await verified(transaction, {}, [])).toMatchObject({ status: 401, httpStatus: 401 });
    }
    const answer = await running.send({ body: '{"Status":{}}' });
    expect(answer.headers['www-authenticate']).toBe('Mesh');
  });

  it('[S01] refuses the wrong key of the right device', async () => {
    const answer = await verified('Status', { Account: account }, [{ key: signature, connection }]);
    expect(answer).toMatchObject({ status: 401, statusExtended: 10 });
  });

  it('[R085] takes a device without connection for nobody: 401 for all that people may ask', async () => {
    const offline = newKey();
    const body = { KeyOfflineSignature: keyMember(offline), KeyAuthentication: keyMember(authentication) };
    const profile = signEnvelope({ payload: encodeTagged(ProfileDevice, body, 'json'), keys: [offline] });
    const device: RequestSigner = { key: authentication, profile };
    expect(await verified('Hello', {}, [device])).toMatchObject({ status: 201 });
    for (const transaction of ['DeleteAccount', 'Status', 'Download', 'Upload'] as const) {
      const answer = await verified(transaction, { Account: account }, [device]);
      expect([transaction, answer.status, answer.statusExtended]).toEqual([transaction, 401, undefined]);
    }
  });

  it('takes Hello of a host, and nothing else of what people may ask: 403/5', async () => {
    const { signingKey: key, profileHost, connectionHost } = await loadHostIdentity(join(running.directory, 'router'));
    const host: RequestSigner = { key, profile: profileHost, connection: connectionHost };
    expect(await verified('Hello', {}, [host])).toMatchObject({ status: 201 });
    for (const transaction of ['DeleteAccount', 'Status', 'Download', 'Upload'] as const) {
      const answer = await verified(transaction, { Account: account }, [host]);
      expect([transaction, answer.status, answer.statusExtended]).toEqual([transaction, 403, 5]);
    }
  });

  it('[S20] refuses a foreign Service with 401/10 and one that is not Host with 421', async () => {
    const foreign = await request('Status', { Account: account }, [profileSigner()], { service: 'c.example' });
    expect(await post(foreign.body)).toMatchObject({ status: 401, extended: 10, isSigned: true });
    const other = await request('Status', { Account: account }, [profileSigner()], { service: 'b.example' });
    expect(await post(other.body)).toMatchObject({ status: 421, isSigned: true });
  });

  it('[S27] refuses a stale request with 401/21', async () => {
    const stale = await request('Status', { Account: account }, [profileSigner()], { nowMs: Date.now() - 301_000 });
    expect(await post(stale.body)).toMatchObject({ status: 401, extended: 21, isSigned: true });
  });

  it('[S27] serves a repeated read anew and refuses another one under its ID with 401/20', async () => {
    const id = makeRequestId(Date.now(), systemRandom);
    const first = await request('Status', { Account: account }, [profileSigner()], { id });
    expect((await post(first.body)).status).toBe(201);
    expect((await post(first.body)).status).toBe(201);
    const other = await request('Status', { Account: account, DeviceUDF: 'x' }, [profileSigner()], { id });
    expect(await post(other.body)).toMatchObject({ status: 401, extended: 20 });
  });

  it('[R198] wants Account, and compares it in canonical form', async () => {
    expect(await verified('Status', { Account: 'Alice@EXAMPLE.com.' }, [profileSigner()])).toMatchObject({
      status: 201,
    });
    expect(await verified('Status', {}, [profileSigner()])).toMatchObject({ status: 400 });
    for (const bad of ['alice', 'a/../b@example.com', 'a\u0000b@example.com', 'аlice@example.com', '@service', '']) {
      expect(await verified('Status', { Account: bad }, [profileSigner()])).toMatchObject({ status: 400 });
    }
  });

  it('[R199] verifies DeviceProfile where it is present', async () => {
    const device = newKey();
    const body = { KeyOfflineSignature: keyMember(device), KeyAuthentication: keyMember(authentication) };
    const payload = encodeTagged(ProfileDevice, body, 'json');
    const own = signEnvelope({ payload, keys: [device] });
    const foreign = signEnvelope({ payload, keys: [newKey()] });
    const message = (DeviceProfile: EnvelopeOctets) => ({ Account: account, DeviceProfile });
    expect(await verified('Status', message(own), [profileSigner()])).toMatchObject({ status: 201 });
    expect(await verified('Status', message(foreign), [profileSigner()])).toMatchObject({
      status: 400,
      statusExtended: 10,
    });
  });
});

describe('what is not built', () => {
  it('answers 501 in the class of the transaction', async () => {
    expect(await verified('Post', {}, [profileSigner()])).toMatchObject({ status: 501, tag: 'PostResponse' });
    expect(await verified('Connect', {}, [profileSigner()])).toMatchObject({
      status: 403,
      statusExtended: 2,
      tag: 'ConnectResponse',
    });
    expect(await verified('Complete', {}, [profileSigner()])).toMatchObject({ status: 501, tag: 'StatusResponse' });
  });

  it('refuses members that are out of range, and those of later features', async () => {
    const of = { Account: account };
    const select = (members: object) => ({ ...of, Select: [{ Container: 'mmm_Device', ...members }] });
    const cases: [Transaction, object, number][] = [
      ['Download', select({ PageKey: 'x' }), 410],
      ['Download', select({ Filter: ['Deleted', 'Newer'] }), 400],
      ['Download', select({ ProveFrom: -1 }), 400],
      ['Download', { ...select({}), ConstraintsPost: { BytesOffset: -1 } }, 400],
      ['Download', { ...of, Select: Array(2).fill({ Container: 'a_b' }), ConstraintsPost: { BytesOffset: 1 } }, 400],
      ['Status', { ...of, Wait: -1 }, 400],
      ['Status', { ...of, Known: [{ Container: 'a_b' }] }, 400],
      ['Status', { ...of, Known: [{ Index: 1 }] }, 400],
      ['DeleteAccount', { ...of, MovedTo: 'alice@b.example' }, 501],
    ];
    for (const [transaction, message, expected] of cases) {
      const { status } = await verified(transaction, message, [profileSigner()]);
      expect([transaction, JSON.stringify(message), status]).toEqual([transaction, JSON.stringify(message), expected]);
    }
  });
});

describe('bounds', () => {
  it('[S22] signs no more refusals of a source than its budget', async () => {
    const few = await startTestRouter({ sourceLimits: { signedRefusalsPerSecond: 1 }, clock: () => 1_800_000_000_000 });
    try {
      const kinds: boolean[] = [];
      for (let at = 0; at < 7; at += 1) {
        const answer = await few.send({ body: enveloped('{"Status":{}}') });
        kinds.push(answer.body.startsWith('['));
      }
      expect(kinds).toEqual([true, true, true, true, true, false, false]);
      expect(await few.metric('meshd_router_refusals_unsigned_total')).toContain('code="malformed"} 2');
    } finally {
      await few.stop();
    }
  });

  it('limits Hello by source with 429 and Retry-After', async () => {
    const few = await startTestRouter({ sourceLimits: { helloPerMinute: 2, countLoopback: true } });
    try {
      const statuses: number[] = [];
      for (let at = 0; at < 3; at += 1) statuses.push((await few.send({ body: '{"Hello":{}}' })).status);
      expect(statuses).toEqual([201, 201, 429]);
      const last = await few.send({ body: '{"Hello":{}}' });
      expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
    } finally {
      await few.stop();
    }
  });

  it('bounds the octets of one source and of all', async () => {
    const few = await startTestRouter({ octetBudget: { bytesMax: 4096, bytesPerSourceMax: 1024 } });
    try {
      expect((await few.send({ body: ' '.repeat(2000) })).status).toBe(429);
      expect((await few.send({ body: '{"Hello":{}}' })).status).toBe(201);
      expect(await few.metric('meshd_router_body_bytes')).toContain(' 0');
    } finally {
      await few.stop();
    }
  });

  it('counts every refusal by its code', async () => {
    const figures = await running.metric('meshd_router_requests_total');
    for (const code of [
      'malformed',
      'unknown-transaction',
      'media-type',
      'method',
      'wrong-host',
      'clock-skew',
      'too-large',
    ])
      expect(figures).toContain(`code="${code}"`);
  });
});

describe('shards', () => {
  it('passes their refusals on, and says what is wrong with the way to them', async () => {
    const cases = [
      [refused('device-revoked'), 401, 4],
      [refused('quota'), 403, 19],
      [refused('internal', { correlation: 'abc' }), 500, undefined],
      [refused('no such code'), 500, undefined],
    ] as const;
    for (const [outcome, status, extended] of cases) {
      const link = fakeLink({ transact: async () => ({ number: 1, outcome, result: undefined }) });
      const other = await startTestRouter({ openLink: () => link });
      try {
        const answer = await other.connect().call('Status', { Account: account }, [profileSigner()]);
        expect([answer.status, answer.statusExtended]).toEqual([status, extended]);
      } finally {
        await other.stop();
      }
    }
  });
});

interface Changes {
  readonly service?: string;
  readonly nowMs?: number;
  readonly id?: Uint8Array;
}

function request<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  signers: RequestSigner[],
  changes: Changes = {},
) {
  const base = { transaction, message, signers, service: domain, nowMs: Date.now(), random: systemRandom };
  return signRequest({ ...base, ...changes });
}

/** Headers and body written by hand, for what no HTTP client would send. */
function raw(rest: string): Promise<string> {
  const { port } = running.router.address;
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, ca: running.ca, servername: domain }, () => {
      socket.write(`POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: application/json\r\n${rest}`);
    });
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    socket.on('close', () => resolve(text)).on('error', reject);
  });
}

describe('clients', () => {
  it('[R046] [R077] post to https only', () => {
    for (const url of ['http://127.0.0.1/', 'ftp://x', 'x']) {
      expect(() => new HttpsPoster({ domain, url })).toThrow(/not an https address/);
    }
  });
});
