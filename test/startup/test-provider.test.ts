import { connect } from 'node:tls';
import { startTestProviders } from '@meshd/dev/test-provider';
import pg from 'pg';
import { describe, expect, it } from 'vitest';

/** Protocol and names of the certificate that a provider shows. */
function handshake(port: number, domain: string, ca: string): Promise<{ protocol: string | null; names: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: domain, ca }, () => {
      const { subjectaltname } = socket.getPeerCertificate();
      resolve({ protocol: socket.getProtocol(), names: subjectaltname ?? '' });
      socket.end();
    });
    socket.on('error', reject);
  });
}

describe('test providers', () => {
  it('run side by side, each with its own domain, databases and authority, and leave nothing', async () => {
    const [a, b] = await startTestProviders(['a.example', 'b.example']);
    if (a === undefined || b === undefined) throw new Error('two were asked for');
    try {
      const shown = await handshake(a.port, 'a.example', a.ca);
      expect(shown.protocol).toBe('TLSv1.3');
      expect(shown.names).toContain('DNS:a.example');
      await expect(handshake(b.port, 'b.example', a.ca)).rejects.toThrow();
      expect(new Set([...a.databases.shards, ...b.databases.shards, a.databases.directory]).size).toBe(5);
      for (const url of [a.adminUrls.router, a.adminUrls.outbound, ...a.adminUrls.shards]) {
        expect((await fetch(`${url}/readyz`)).status).toBe(200);
      }
    } finally {
      await Promise.all([a.stop(), b.stop()]);
    }
    const client = new pg.Client({ connectionString: a.databases.directory });
    await expect(client.connect()).rejects.toThrow(/does not exist/);
    await client.end().catch(() => {});
  });
});
