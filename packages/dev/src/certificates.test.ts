import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CertificateFiles, ensureCertificates } from './certificates.js';

const nowMs = Date.UTC(2026, 10, 23);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-certificates-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pair = async ({ certFile, keyFile }: CertificateFiles) => ({
  cert: await readFile(certFile),
  key: await readFile(keyFile),
});

/** One handshake in which both sides show certificates. */
async function handshake(server: CertificateFiles, client: CertificateFiles, caFile: string, servername: string) {
  const ca = await readFile(caFile);
  const listener = createServer({ ...(await pair(server)), ca, requestCert: true, rejectUnauthorized: true });
  listener.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  const options = { host: '127.0.0.1', port, servername, ca, ...(await pair(client)) };
  try {
    return await new Promise<string>((resolve) => {
      const socket: TLSSocket = connect(options, () => resolve(socket.authorized ? 'ok' : 'refused'));
      socket.on('error', (error) => resolve(error.message));
      listener.on('secureConnection', (peer) => peer.end());
    });
  } finally {
    listener.close();
  }
}

describe('certificates of one machine', () => {
  it('let processes know one another by role', async () => {
    const made = await ensureCertificates(folder, ['mesh.localhost'], Date.now());
    const { internal, internalCaFile } = made;
    expect(await handshake(internal.shard, internal.router, internalCaFile, 'shard.meshd.internal')).toBe('ok');
    expect(await handshake(internal.shard, internal.router, internalCaFile, 'router.meshd.internal')).toContain(
      'altnames',
    );
    expect(await handshake(made.server, internal.router, internalCaFile, 'mesh.localhost')).not.toBe('ok');
  });

  it('are kept across restarts and made anew for other domains', async () => {
    const first = await ensureCertificates(folder, ['a.example'], nowMs);
    const read = () => Promise.all([readFile(first.caFile, 'utf8'), readFile(first.server.certFile, 'utf8')]);
    const before = await read();
    await ensureCertificates(folder, ['a.example'], nowMs);
    expect(await read()).toEqual(before);
    await ensureCertificates(folder, ['a.example', 'b.example'], nowMs);
    const after = await read();
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it('are renewed before they end', async () => {
    const first = await ensureCertificates(folder, ['a.example'], nowMs);
    const before = await readFile(first.server.certFile, 'utf8');
    await ensureCertificates(folder, ['a.example'], nowMs + 340 * 24 * 3600 * 1000);
    expect(await readFile(first.server.certFile, 'utf8')).not.toBe(before);
  });

  it('keep their keys readable by the owner alone', async () => {
    const { server } = await ensureCertificates(folder, ['a.example'], nowMs);
    expect((await stat(server.keyFile)).mode & 0o077).toBe(0);
  });
});
