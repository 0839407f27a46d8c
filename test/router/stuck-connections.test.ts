/** Connections whose other end does nothing: they are given up, and do not keep a listener that stops. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { ensureCertificates } from '@meshd/dev/certificates';
import { type Listener, startListener } from '@meshd/router/listener';
import { defineRouterMetrics } from '@meshd/router/metrics';
import { createMetrics } from '@meshd/telemetry/metrics';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const domain = 'example.com';
let folder: string;
let files: { certificate: Buffer; key: Buffer; ca: Buffer };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-stuck-'));
  const { server, caFile } = await ensureCertificates(folder, [domain], Date.now());
  const [certificate, key, ca] = await Promise.all(
    [server.certFile, server.keyFile, caFile].map((file) => readFile(file)),
  );
  files = { certificate, key, ca } as typeof files;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
const kept = <T extends Socket>(socket: T): T => {
  sockets.push(socket.on('error', () => undefined) as T);
  return socket;
};

/** A listener whose service never answers until it is told to. */
async function start(handshakeMs?: number) {
  const metrics = createMetrics();
  const zero = () => 0;
  const figures = { requestsInFlight: zero, bodyBytes: zero, requestsSeen: zero, mapVersion: zero };
  let answer: () => void = () => undefined;
  const asked = Promise.withResolvers<void>();
  const listener = await startListener({
    ...{
      certificate: files.certificate,
      key: files.key,
      listen: { host: '127.0.0.1', port: 0 },
    },
    publish: async (_request, _identifier, http) => void http.end(),
    serve: async (_request, http) => {
      answer = () => void http.end('{}');
      asked.resolve();
    },
    metrics: defineRouterMetrics(metrics, figures),
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
  });
  const refusals = async () => await metrics.registry.getSingleMetricAsString('meshd_router_connections_refused_total');
  return { listener, refusals, asked: asked.promise, answer: () => answer() };
}

/** Connects, and hands over once the handshake is done. */
async function dial({ address }: Listener) {
  const socket = kept(tlsConnect({ host: '127.0.0.1', port: address.port, ca: files.ca, servername: domain }));
  await once(socket, 'secureConnect');
  return socket;
}

/** However the service closes it. */
const closing = (socket: Socket) => new Promise((resolve) => socket.once('end', resolve).once('close', resolve));

/** The octets with which a client begins: those of another handshake, which nobody answers. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const arriving = once(server, 'connection') as Promise<[Socket]>;
  kept(tlsConnect({ host: '127.0.0.1', port, servername: domain }));
  const [arrived] = await arriving;
  const [octets] = (await once(kept(arrived), 'data')) as [Buffer];
  server.close();
  return octets;
}

const get = `POST /.well-known/mmm HTTP/1.1\r\nHost: ${domain}\r\nContent-Length: 0\r\n\r\n`;

describe('[R174] a connection', () => {
  it('whose handshake does not end is closed without a word, and counted', async () => {
    const { listener, refusals } = await start(50);
    const socket = kept(connect({ host: '127.0.0.1', port: listener.address.port, allowHalfOpen: true }));
    socket.write(await clientHello());
    // What comes is read, so that only the service can be the one that closes.
    let bytes = 0;
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    await once(socket, 'end');
    expect(bytes).toBeGreaterThan(0);
    expect(await refusals()).toContain('{reason="tls"} 1');
    // Not as somebody who is answered, which would have to wait for the end of the handshake.
    expect(await refusals()).not.toContain('HANDSHAKE');
    // Its own end stays open: it is the service that lets go.
    await listener.drain();
  });

  it('whose handshake goes on does not keep a listener that stops', async () => {
    // Longer than this test may take.
    const { listener } = await start(60_000);
    const socket = kept(connect({ host: '127.0.0.1', port: listener.address.port, allowHalfOpen: true }));
    socket.write(await clientHello());
    // The service's part of it.
    await once(socket, 'data');
    const closed = closing(socket);
    await listener.drain();
    await closed;
  });

  it('on which nothing, or half a header, has come does not keep a listener that stops', async () => {
    const { listener } = await start();
    const [silent, begun] = await Promise.all([dial(listener), dial(listener)]);
    begun.write('POST /.well-known/mmm HTTP/1.1\r\nHost: ');
    const closed = Promise.all([silent, begun].map(closing));
    await listener.drain();
    await closed;
  });

  it('on which something was asked is closed when that is answered, which says so, and not before', async () => {
    const { listener, asked, answer } = await start();
    const socket = await dial(listener);
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    socket.write(get);
    await asked;
    const drained = listener.drain();
    answer();
    await Promise.all([drained, closing(socket)]);
    expect(text).toMatch(/^HTTP\/1.1 200 [\s\S]*\{\}/);
    expect(text).toMatch(/^connection: close\r$/im);
  });
});
