/** The handshake, as a client's TLS library reports it message by message. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type TlsOptions, connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domain, type RunningRouter, startTestRouter } from './router-kit.js';

let running: RunningRouter;
beforeAll(async () => {
  running = await startTestRouter();
});
afterAll(() => running.stop());

/** Runs in a process of its own: the trace goes to standard error past everything that a test could catch. */
const tracing = `
  const [port, servername, ca] = process.argv.slice(1);
  const options = { host: '127.0.0.1', port, servername, ca, enableTrace: true };
  const socket = require('node:tls').connect(options, () => {
    console.log(socket.getProtocol());
    socket.end('x');
  });
  socket.on('error', () => undefined);
`;

async function handshake(port: number): Promise<{ protocol: string; messages: string[] }> {
  const run = promisify(execFile);
  const { stdout, stderr } = await run(process.execPath, ['-e', tracing, String(port), domain, running.ca]);
  const messages = [...stderr.matchAll(/Received TLS Record[\s\S]*?(?=Sent TLS Record|Received TLS Record|$)/g)];
  const names = messages.flatMap(([record]) => [...record.matchAll(/^ {4}(\w+), Length=/gm)].map(([, name]) => name));
  return { protocol: stdout.trim(), messages: names as string[] };
}

async function asking(): Promise<{ port: number; stop(): void }> {
  const folder = join(running.directory, 'tls', 'public');
  const [key, cert] = await Promise.all(['router-key.pem', 'router.pem'].map((name) => readFile(join(folder, name))));
  const options: TlsOptions = {
    key: key as Buffer,
    cert: cert as Buffer,
    requestCert: true,
    rejectUnauthorized: false,
  };
  const server = createServer(options, (socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
}

describe('TLS', () => {
  it('[R044] [R047] is of version 1.3', async () => {
    const { protocol, messages } = await handshake(running.router.address.port);
    expect(protocol).toBe('TLSv1.3');
    expect(messages).toEqual(expect.arrayContaining(['ServerHello', 'EncryptedExtensions', 'Certificate', 'Finished']));
  });

  it('[R048] asks for no certificate of the client', async () => {
    expect((await handshake(running.router.address.port)).messages).not.toContain('CertificateRequest');
    // A server that asks for one is seen to do so.
    const other = await asking();
    expect((await handshake(other.port)).messages).toContain('CertificateRequest');
    other.stop();
  });

  it('[R047] is refused below 1.3', async () => {
    const { port } = running.router.address;
    const older = { host: '127.0.0.1', port, ca: running.ca, servername: domain, maxVersion: 'TLSv1.2' } as const;
    const outcome = new Promise<string>((resolve) => {
      const socket = tlsConnect(older, () => resolve('connected'));
      socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'error'));
    });
    expect(await outcome).toMatch(/ALERT_PROTOCOL_VERSION/);
  });
});
