/** HTTP and TLS around the messages (semantics 2.2): methods, types, hosts, framings, bounds, headers. */

import { connect as tcpConnect } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, item } from './kit/account.js';
import { b64, zeros } from './kit/octets.js';
import { codesOf, httpOf, type Peer } from './kit/peer.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest } from './kit/request.js';
import { peek } from './kit/response.js';
import { type PostChoices, post, raw } from './kit/wire.js';

const hello = '{"Hello": {}}';
let running: Running;
let peer: Peer;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  account = await Account.open(peer);
});
afterAll(() => running?.stop());

const sendHello = (choices: PostChoices = {}, body: string | Uint8Array = hello) =>
  post(running.provider, body, choices);
const statusOf = async (choices: PostChoices, body?: string | Uint8Array) => (await sendHello(choices, body)).status;

describe('methods and paths', () => {
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    it(`[R049] [R057] ${method}: 405 with Allow: POST`, async () => {
      const answer = await sendHello({ method });
      expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
    });
  }

  it('[R052] [R053] other paths: 404, whatever is sent there', async () => {
    for (const path of ['/', '/.well-known/mmm/x', '/well-known/mmm', '/.well-known/../etc/passwd']) {
      expect([path, await statusOf({ path })]).toEqual([path, 404]);
    }
  });

  it('[R043] publications are a service of their own on the same port: none yet', async () => {
    const path = '/.well-known/mmm-udf/MAAA';
    expect(await statusOf({ path, method: 'GET' })).toBe(404);
    const answer = await sendHello({ path });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET']);
  });

  it('[R053] a query says nothing', async () => {
    expect([201, 404]).toContain(await statusOf({ path: '/.well-known/mmm?Hello' }));
  });
});

describe('media types', () => {
  it('[R060] [R066] [R092] application/json, in any case, charset utf-8; the answer has it too', async () => {
    for (const contentType of [
      'application/json',
      'Application/JSON',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
    ]) {
      const answer = await sendHello({ contentType });
      expect([contentType, answer.status]).toEqual([contentType, 201]);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
    }
  });

  it('[R060] [R088] [R089] [R091] anything else, or none, and JSON-B, in which no Hello is: 415', async () => {
    const others = [
      'application/json-b',
      'application/json-c',
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
      'application/json; version=1',
      'json',
      '',
    ];
    for (const contentType of [...others, null]) {
      const answer = await sendHello({ contentType });
      expect([contentType, answer.status]).toEqual([contentType, 415]);
      expect(answer.headers['content-type'] ?? 'application/json').toMatch(/^application\/json/);
    }
  });

  it('[R059] Content-Encoding other than identity: 415', async () => {
    expect(await statusOf({ headers: { 'content-encoding': 'gzip' } })).toBe(415);
    expect(await statusOf({ headers: { 'content-encoding': 'identity' } })).toBe(201);
  });

  it('[R089] octets of JSON-B inside JSON: 400', async () => {
    expect(await statusOf({}, Uint8Array.of(0x7b, 0xb4, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x7b, 0x7d, 0x7d))).toBe(
      400,
    );
  });

  it('a byte order mark is skipped', async () => {
    expect(await statusOf({}, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(hello)]))).toBe(201);
  });
});

describe('hosts', () => {
  it('[R058] [R196] a host that is not served: 421', async () => {
    const answer = await sendHello({ headers: { host: 'elsewhere.example' } });
    expect([answer.status, peek(answer.body).message.Status]).toEqual([421, 421]);
  });

  it('[R058] case and port do not matter', async () => {
    for (const host of ['EXAMPLE.com', 'example.com:443', 'example.com:8443', 'b.example']) {
      expect([host, await statusOf({ headers: { host } })]).toEqual([host, 201]);
    }
  });

  it('[R196] no Host, or two: 400', async () => {
    const rest = `Content-Type: application/json\r\nContent-Length: ${hello.length}\r\nConnection: close\r\n\r\n${hello}`;
    for (const head of ['', 'Host: example.com\r\nHost: b.example\r\n']) {
      const { received } = await raw(running.provider, `POST /.well-known/mmm HTTP/1.1\r\n${head}${rest}`);
      expect(received).toMatch(/^HTTP\/1\.1 4(00|21) /);
    }
  });
});

describe('framings', () => {
  const head = 'POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n';

  it('[R061] both at once: 400, and the connection is closed', async () => {
    const chunked = `${hello.length.toString(16)}\r\n${hello}\r\n0\r\n\r\n`;
    for (const framing of [
      `Content-Length: ${chunked.length}\r\nTransfer-Encoding: chunked\r\n`,
      `Transfer-Encoding: chunked\r\nContent-Length: ${chunked.length}\r\n`,
    ]) {
      const { received, closed } = await raw(running.provider, `${head}${framing}\r\n${chunked}`);
      expect(received).toMatch(/^HTTP\/1\.1 400 /);
      expect(received.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(closed).toBe(true);
    }
  });

  it('[R061] other transfer codings: refused', async () => {
    for (const coding of ['gzip, chunked', 'identity', 'chunked, chunked', 'xchunked']) {
      const { received } = await raw(
        running.provider,
        `${head}Transfer-Encoding: ${coding}\r\nConnection: close\r\n\r\n0\r\n\r\n`,
      );
      expect([coding, received.slice(0, 12)]).toEqual([coding, expect.stringMatching(/^HTTP\/1\.1 (400|415|501)/)]);
    }
  });

  it('[R055] who expects 100-continue gets it, or the answer', async () => {
    const { received } = await raw(
      running.provider,
      `${head}Expect: 100-continue\r\nContent-Length: ${hello.length}\r\nConnection: close\r\n\r\n${hello}`,
    );
    expect(received).toMatch(/HTTP\/1\.1 201 /);
  });

  it('[R061] two lengths that differ: 400', async () => {
    const { received } = await raw(running.provider, `${head}Content-Length: 13\r\nContent-Length: 12\r\n\r\n${hello}`);
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('[R061] [R067] chunks are read', async () => {
    const sent = makeRequest({ tag: 'Hello' });
    const pieces = sent.body.match(/.{1,50}/gs) ?? [];
    const answer = await post(running.provider, '', { chunks: pieces });
    expect(peer.verify(answer, sent).status).toBe(201);
  });

  it('[R050] two requests in one write are both answered', async () => {
    const one = `${head}Content-Length: ${hello.length}\r\n\r\n${hello}`;
    const two = one.replace('Content-Type', 'Connection: close\r\nContent-Type');
    const { received } = await raw(running.provider, one + two);
    expect(received.match(/HTTP\/1\.1 201/g)).toHaveLength(2);
  });

  it('[R055] headers that nobody knows are ignored', async () => {
    expect(
      await statusOf({
        headers: { 'x-unheard': 'of', 'accept-encoding': 'gzip', range: 'bytes=0-1', 'if-none-match': '*' },
      }),
    ).toBe(201);
  });
});

describe('bounds', () => {
  it('a body said to be over 16 MiB: 413 before it is sent', async () => {
    const octets = `POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: ${17 * 1024 * 1024}\r\n\r\n[`;
    const { received } = await raw(running.provider, octets);
    expect(received).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('a chunked body over 16 MiB: 413', async () => {
    const chunks = Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, 0x20));
    const answer = await post(running.provider, '', { chunks }).catch((error: Error) => error);
    // the provider may hang up before the whole body has been written
    if (answer instanceof Error) expect(answer.message).toMatch(/ECONNRESET|EPIPE|socket hang up/);
    else expect(answer.status).toBe(413);
  });

  it('a Status of more than 256 KiB: 413', async () => {
    const Unheard = 'x'.repeat(300_000);
    expect(codesOf(await account.status({ Unheard }))).toMatchObject({ status: 413, http: 413 });
  });

  it('an Upload of that size is nothing special', async () => {
    expect((await account.append('app_Size', [item('a', zeros(300_000))])).status).toBe(201);
  });

  it('a credential of more than 8 KiB: refused', async () => {
    const profile = [{ dig: 'S512' }, b64(Buffer.alloc(9000, 0x20)), {}];
    const answer = await peer.call('Hello', {}, [{ key: account.device.baseAuthentication, profile }]);
    expect([400, 401, 413]).toContain(answer.status);
  });

  it('headers of more than 16 KiB: refused', async () => {
    const { received, closed } = await raw(
      running.provider,
      `POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nX-Large: ${'x'.repeat(20_000)}\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(received).toMatch(/^HTTP\/1\.1 4(31|13|00) /);
    expect(closed).toBe(true);
  });

  it('[R174] headers that do not come in 2 s: 408 or an end', async () => {
    const { received, closed } = await raw(running.provider, 'POST /.well-known/mmm HTTP/1.1\r\nHost: exam', 8000);
    expect(closed).toBe(true);
    if (received !== '') expect(received).toMatch(/^HTTP\/1\.1 408 /);
  }, 15_000);

  it('[R174] a body that does not come in 5 s: 408 and an end', async () => {
    const octets =
      'POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[';
    const { received, closed } = await raw(running.provider, octets, 12_000);
    expect(closed).toBe(true);
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
  }, 20_000);
});

describe('answers', () => {
  it('[R054] [R068] are not to be stored', async () => {
    const answers = [
      await sendHello(),
      await sendHello({ method: 'GET' }),
      (await account.status()).http,
      await sendHello({}, 'x'),
    ];
    for (const { headers } of answers) expect(headers['cache-control']).toBe('no-store');
  });

  it('[R201] carry the Status as HTTP status, 3xx as 200', async () => {
    const answers = [
      await account.status(),
      await account.download([{ Container: 'mmm_Task' }]),
      await account.call('Post', {}),
    ];
    for (const answer of answers) expect(answer.http.status).toBe(httpOf(answer.status));
  });

  it('[R075] 401 names the scheme: WWW-Authenticate: Mesh', async () => {
    expect((await sendHello({}, '{"Status":{}}')).headers['www-authenticate']).toBe('Mesh');
    expect((await sendHello()).headers).not.toHaveProperty('www-authenticate');
  });

  it('[R104] [R105] errors have a body of the protocol: MeshResponse, or the answer of the transaction if it is known', async () => {
    for (const [answer, tag] of [
      [await sendHello({ contentType: 'text/plain' }), 'MeshResponse'],
      [await sendHello({}, 'x'), 'MeshResponse'],
      [await sendHello({ headers: { host: 'elsewhere.example' } }), 'MeshHelloResponse'],
    ] as const) {
      expect(peek(answer.body)).toMatchObject({ tag, message: { Status: answer.status } });
    }
  });
});

describe('TLS', () => {
  const shake = (options: object): Promise<{ protocol: string | null; alpn: string | false | null; asked: boolean }> =>
    new Promise((resolve, reject) => {
      const { port, ca } = running.provider;
      const socket = connect({ host: '127.0.0.1', port, ca, servername: 'example.com', ...options }, () => {
        resolve({ protocol: socket.getProtocol(), alpn: socket.alpnProtocol, asked: 'getSharedSigalgs' in socket });
        socket.end();
      });
      socket.on('error', reject);
    });

  it('[R044] [R047] is 1.3 and nothing older', async () => {
    expect((await shake({})).protocol).toBe('TLSv1.3');
    await expect(shake({ maxVersion: 'TLSv1.2' })).rejects.toThrow();
  });

  it('[R050] [R051] ALPN gives HTTP/1.1 to who offers it, HTTP/2 or not', async () => {
    expect((await shake({ ALPNProtocols: ['h2', 'http/1.1'] })).alpn).toBe('http/1.1');
    expect((await shake({ ALPNProtocols: ['http/1.1'] })).alpn).toBe('http/1.1');
  });

  it('[R045] [R077] [S28] plain HTTP is not answered', async () => {
    const received = await new Promise<string>((resolve) => {
      let all = '';
      const socket = tcpConnect(running.provider.port, '127.0.0.1', () => {
        socket.write(
          `POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: ${hello.length}\r\n\r\n${hello}`,
        );
      });
      socket.on('data', (part) => {
        all += part.toString('latin1');
      });
      socket.on('error', () => resolve(all));
      socket.on('close', () => resolve(all));
    });
    expect(received).not.toContain('MeshHelloResponse');
    expect(received).not.toMatch(/^HTTP\/1\.1 20/);
  });
});

describe('many refusals for one address', () => {
  let strict: Running;
  beforeAll(async () => {
    strict = await startProvider({ router: { sourceLimits: {}, clock: () => Date.now() } });
  });
  afterAll(() => strict?.stop());

  it('[S22] are signed up to a budget, and unsigned beyond it; what is right is always signed', async () => {
    const refusals = await Promise.all(
      Array.from({ length: 200 }, () => post(strict.provider, makeRequest({ tag: 'Status' }).body)),
    );
    expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([401]));
    const signed = refusals.filter(({ body }) => body.startsWith('['));
    expect(signed.length).toBeGreaterThan(0);
    expect(signed.length).toBeLessThan(200);
    for (const { body } of refusals) expect(peek(body).message.Status).toBe(401);
    expect((await strict.peer.call('Hello', {}, [])).status).toBe(201);
  });
});
