/** What HTTP is used for, on both sides: to carry one message each way, and nothing else. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { mediaTypeJson, serviceName, wellKnownPath } from '@meshd/schema/features';
import { Person } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, type RawAnswer, type RunningRouter, startTestRouter } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startTestRouter();
});
afterAll(() => running.stop());

const person = new Person('alice');
const device = person.device();
const signers = [{ key: device.authentication, connection: device.connection }];

type Alter = (answer: RawAnswer, http: ServerResponse, request: IncomingMessage) => void;

/** An intermediary that hands requests to the router and does to the answers what it likes. */
async function through<T>(alter: Alter, use: (link: MeshConnection) => Promise<T>): Promise<T> {
  const folder = join(running.directory, 'tls', 'public');
  const [key, cert] = await Promise.all(['router-key.pem', 'router.pem'].map((name) => readFile(join(folder, name))));
  const server: Server = createServer({ key, cert }, async (request, http) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    alter(await running.send({ body: Buffer.concat(parts) }), http, request);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = new MeshConnection({ domain, url, ca: running.ca, pins: memoryPinStore(), form: 'json' });
  try {
    return await use(link);
  } finally {
    await link.close();
    server.closeAllConnections();
    server.close();
  }
}

const statusOf = (link: MeshConnection) => link.call('Status', { Account: person.address }, signers);

describe('the service', () => {
  it('[R035] [R036] [R050] [R053] [R071] [R090] [R190] [R300] answers one enveloped POST on one path with one envelope', async () => {
    expect(wellKnownPath).toBe(`/.well-known/${serviceName}`);
    for (const transaction of ['Hello', 'Status', 'Download'] as const) {
      const message = transaction === 'Hello' ? {} : { Account: person.address };
      const base = { transaction, message, service: domain, nowMs: Date.now(), random: systemRandom };
      const { body } = await signRequest({ ...base, signers: transaction === 'Hello' ? [] : signers });
      const answer = await running.send({ path: wellKnownPath, body });
      expect([answer.status, answer.headers['content-type']]).toEqual([201, mediaTypeJson]);
      const [header, payload, trailer] = JSON.parse(answer.body);
      expect(header.dig).toBe('S512');
      expect(Object.keys(JSON.parse(Buffer.from(payload, 'base64url').toString()))).toHaveLength(1);
      expect(trailer.signatures).toHaveLength(1);
    }
  });

  it('[R052] [R054] takes no meaning from headers, and lets nothing be cached', async () => {
    const headers = {
      'if-none-match': '*',
      'if-modified-since': 'Thu, 01 Jan 2099 00:00:00 GMT',
      'x-http-method-override': 'DELETE',
      'x-forwarded-host': 'b.example',
      authorization: 'Bearer x',
      range: 'bytes=0-1',
    };
    const answer = await running.send({ headers, path: `${wellKnownPath}?Transaction=Status`, body: '{"Hello":{}}' });
    expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
    expect(answer.headers.etag).toBeUndefined();
    expect(Object.keys(JSON.parse(answer.body))).toEqual(['MeshHelloResponse']);
  });

  it('[R103] [R105] [R203] says what was wrong in a body, also under an HTTP error', async () => {
    const refused = await running.send({ body: '{"Status":{}}' });
    expect(refused.status).toBe(401);
    expect(JSON.parse(refused.body).StatusResponse).toEqual({
      Status: 401,
      StatusDescription: expect.stringContaining('Not authenticated'),
    });
    const unread = await running.send({ headers: { 'content-type': 'text/plain' }, body: 'x' });
    expect(JSON.parse(unread.body).MeshResponse.Status).toBe(415);
  });
});

describe('the client', () => {
  it('[R064] [R067] takes any header and both framings', async () => {
    const plain: Alter = ({ body }, http) => {
      http.writeHead(201, { 'content-type': 'application/json', 'x-unknown': 'y', 'content-length': body.length });
      http.end(body);
    };
    const chunked: Alter = ({ body }, http) => {
      http.writeHead(201, { 'Content-Type': 'Application/JSON; charset=utf-8', 'set-cookie': 'a=b' });
      for (let at = 0; at < body.length; at += 1000) http.write(body.slice(at, at + 1000));
      http.end();
    };
    for (const alter of [plain, chunked]) expect((await through(alter, statusOf)).status).toBe(201);
  });

  it('[R065] [R202] believes the payload and not the HTTP code', async () => {
    const failing: Alter = ({ body }, http) => http.writeHead(500, { 'content-type': 'application/json' }).end(body);
    expect(await through(failing, statusOf)).toMatchObject({ succeeded: true, status: 201, httpStatus: 500 });
  });

  it('[R069] refuses an answer that was changed on the way', async () => {
    let count = 0;
    const flipping: Alter = ({ body }, http) => {
      count += 1;
      // The Hello passes; of the answer after it one character of the payload is another.
      const [header, payload, trailer] = JSON.parse(body);
      const text = Buffer.from(payload, 'base64url').toString().replace('201', '200');
      const changed = JSON.stringify([
        header,
        Buffer.from(text).toString('base64url'),
        { ...trailer, PayloadDigest: undefined },
      ]);
      http.writeHead(201, { 'content-type': 'application/json' }).end(count === 1 ? body : changed);
    };
    await expect(through(flipping, statusOf)).rejects.toMatchObject({ code: 'response-refused' });
  });

  it('[R081] says Hello before its first request to a service it does not know, and posts only', async () => {
    const seen: string[] = [];
    const recording: Alter = ({ body, status }, http, request) => {
      seen.push(`${request.method} ${request.httpVersion} ${request.headers.host} ${body.length > 0}`);
      http.writeHead(status, { 'content-type': 'application/json' }).end(body);
    };
    await through(recording, async (link) => {
      await statusOf(link);
      await statusOf(link);
    });
    expect(seen).toEqual(Array(3).fill(`POST 1.1 ${domain} true`));
  });

  it('[R103] tells faults of transport, HTTP and service apart', async () => {
    const cut: Alter = (_answer, http) => http.destroy();
    await expect(through(cut, statusOf)).rejects.toMatchObject({ code: 'transport' });
    const page: Alter = (_answer, http) => http.writeHead(502, { 'content-type': 'text/html' }).end('<html>');
    await expect(through(page, statusOf)).rejects.toMatchObject({ code: 'unsigned-error', httpStatus: 502 });
    const redirect: Alter = (_answer, http) => http.writeHead(307, { location: 'https://evil.example/' }).end();
    await expect(through(redirect, statusOf)).rejects.toMatchObject({ code: 'unsigned-error', httpStatus: 307 });
  });

  it('gives up after its time, and when it is told to', async () => {
    const impatient = async (timeoutMs: number, signal?: AbortSignal) => {
      const link = new MeshConnection({ domain, url: running.url, ca: running.ca, pins: memoryPinStore(), timeoutMs });
      try {
        return await link.call('Status', {}, signers, signal === undefined ? {} : { signal });
      } finally {
        await link.close();
      }
    };
    await expect(impatient(1)).rejects.toMatchObject({ code: 'timeout' });
    await expect(impatient(5000, AbortSignal.abort())).rejects.toMatchObject({ code: 'transport' });
  });
});
