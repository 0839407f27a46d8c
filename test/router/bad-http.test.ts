/** What HTTP itself is refused for: method, path, type, host, framing, size. */
import { connect as tlsConnect } from 'node:tls';
import { HttpsPoster } from '@meshd/binding/http-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { post, request, startRefusingRouter } from './device-kit.js';
import { domain, type RunningRouter } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startRefusingRouter();
});
afterAll(() => running?.stop());

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
    const { http, status } = await post(running, '{"Hello":{}}', { 'content-type': type, ...more });
    expect([http, status]).toEqual([415, 415]);
  });

  it('[R055] [R059] [R060] takes the type without regard to case, the identity encoding, and any other header', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=UTF-8', 'x-anything': 'y', 'if-none-match': '*' };
    expect((await post(running, '{"Hello":{}}', headers)).http).toBe(201);
    expect((await post(running, '{"Hello":{}}', { 'content-encoding': 'identity' })).http).toBe(201);
    for (const encoding of ['br', 'deflate', 'identity, gzip']) {
      expect((await post(running, '{"Hello":{}}', { 'content-encoding': encoding })).http).toBe(415);
    }
  });

  it('[R196] refuses another Host with 421, bare and signed', async () => {
    expect(await post(running, '{"Hello":{}}', { host: 'c.example' })).toMatchObject({
      http: 421,
      status: 421,
      isSigned: false,
    });
    const { body } = await request('Hello', {}, []);
    expect(await post(running, body, { host: 'c.example' })).toMatchObject({ http: 421, status: 421, isSigned: true });
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
    expect((await post(running, '{"Hello":{}}', { 'transfer-encoding': 'chunked' })).http).toBe(201);
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

  it('refuses a second Host, in whatever letters, though it says the same', async () => {
    for (const name of ['Host', 'hOST']) {
      const answer = await raw(`${name}: ${domain}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`);
      expect(answer, name).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer, name).toContain('more than one Host');
    }
  });

  it('[R077] [S28] answers no plain HTTP', async () => {
    const { port } = running.router.address;
    await expect(fetch(`http://127.0.0.1:${port}/.well-known/mmm`, { method: 'POST' })).rejects.toThrow();
  });
});

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
