import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import { patchSecret } from '@meshd/deploy/kubernetes-api';
import { localSecrets } from '@meshd/deploy/local-secrets';
import { makeProviderFiles } from '@meshd/deploy/provider-files';
import { ensureCertificates } from '@meshd/dev/certificates';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const dayMs = 24 * 3600 * 1000;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-deploy-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const folders = () => ({
  serviceDir: join(folder, 'service'),
  tlsDir: join(folder, 'tls'),
  filesDir: join(folder, 'files'),
});

describe('files of a provider on one machine', () => {
  test('[S26] each role gets a host of one service, and nobody gets the service’s key', async () => {
    const service = await makeProviderFiles(folders(), ['mesh.localhost'], Date.now());
    const hosts = new Set<string>();
    for (const role of ['router', 'shard', 'outbound']) {
      const identity = await loadHostIdentity(join(folder, 'files', role, 'host'));
      expect(identity.serviceUdf).toBe(service);
      expect(identity.domains).toEqual(['mesh.localhost']);
      hosts.add(identity.udf);
      const names = await readdir(join(folder, 'files', role), { recursive: true });
      expect(names.filter((name) => name.includes('service-key'))).toEqual([]);
      expect((await stat(join(folder, 'files', role, 'host/host-key.json'))).mode & 0o077).toBe(0);
      expect((await stat(join(folder, 'files', role, 'rpc/tls.key'))).mode & 0o077).toBe(0);
      expect(names.some((name) => name.startsWith('tls/'))).toBe(role === 'router');
    }
    expect(hosts.size).toBe(3);
  });

  test('[S26] a second run renews the connections and keeps service, hosts and certificates', async () => {
    const startMs = Date.now();
    const identity = () => loadHostIdentity(join(folder, 'files/router/host'));
    const certificate = () => readFile(join(folder, 'files/router/tls/tls.crt'), 'utf8');
    const service = await makeProviderFiles(folders(), ['mesh.localhost'], startMs);
    const before = { identity: await identity(), certificate: await certificate() };
    expect(await makeProviderFiles(folders(), ['mesh.localhost'], startMs + dayMs)).toBe(service);
    const after = { identity: await identity(), certificate: await certificate() };
    expect(after.identity.udf).toBe(before.identity.udf);
    expect(after.identity.notAfterMs - before.identity.notAfterMs).toBe(dayMs);
    expect(after.certificate).toBe(before.certificate);
    const left = await readdir(join(folder, 'files'), { recursive: true });
    expect(left.filter((name) => name.endsWith('.new'))).toEqual([]);
  });
});

describe('Secrets of the local overlay', () => {
  test('hold what the manifests mount, and stay the same', async () => {
    const make = () => localSecrets(folder, ['mesh.localhost'], 'meshd', Date.now());
    const [first, second] = [await make(), await make()];
    const dataOf = (secrets: typeof first, name: string) =>
      secrets.find(({ metadata }) => metadata.name === name)?.data;
    for (const name of [
      'meshd-postgres',
      'meshd-redis',
      'meshd-tls',
      'meshd-service-key',
      'meshd-rpc-shard',
      'meshd-rpc-operator',
    ]) {
      expect(dataOf(first, name)).toBeDefined();
      expect(dataOf(second, name)).toEqual(dataOf(first, name));
    }
    expect(Object.keys(dataOf(first, 'meshd-host-shard') ?? {}).sort()).toEqual([
      'connection-host.dare',
      'host-key.json',
      'profile-host.dare',
      'profile-service.dare',
    ]);
    const password = Buffer.from(dataOf(first, 'meshd-postgres')?.password ?? '', 'base64').toString();
    expect(password).toMatch(/^[0-9a-f]{48}$/);
  });
});

describe('changing a Secret in Kubernetes', () => {
  interface Seen {
    method: string | undefined;
    url: string | undefined;
    authorization: string | undefined;
    type: string | undefined;
    body: string;
  }
  let server: Server;
  let seen: Seen[];
  let answer: { status: number; body: string };
  let ca: Uint8Array;

  beforeEach(async () => {
    const { server: files, caFile } = await ensureCertificates(folder, ['localhost'], Date.now());
    ca = await readFile(caFile);
    seen = [];
    answer = { status: 200, body: '{}' };
    const [cert, key] = await Promise.all([readFile(files.certFile), readFile(files.keyFile)]);
    server = createServer({ cert, key }, async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      const { method, url, headers } = request;
      seen.push({ method, url, authorization: headers.authorization, type: headers['content-type'], body });
      response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const access = () => ({
    apiUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca,
    token: 'a token',
  });

  test('is one merge patch of the members given', async () => {
    await patchSecret(access(), 'meshd', 'meshd-host-router', { 'host-key.json': Buffer.from('{}') });
    expect(seen).toEqual([
      {
        method: 'PATCH',
        url: '/api/v1/namespaces/meshd/secrets/meshd-host-router',
        authorization: 'Bearer a token',
        type: 'application/merge-patch+json',
        body: '{"data":{"host-key.json":"e30="}}',
      },
    ]);
  });

  test('a refusal is told, without the values', async () => {
    answer = { status: 403, body: 'secrets "meshd-host-router" is forbidden' };
    const patching = patchSecret(access(), 'meshd', 'meshd-host-router', { 'host-key.json': Buffer.from('secret') });
    await expect(patching).rejects.toThrow(/answered 403: secrets .* is forbidden/);
    await expect(patching).rejects.not.toThrow(/c2VjcmV0/);
  });

  test('a server that the account’s authority does not vouch for gets nothing', async () => {
    const other = await ensureCertificates(join(folder, 'other'), ['localhost'], Date.now());
    const strange = { ...access(), ca: await readFile(other.caFile) };
    await expect(patchSecret(strange, 'meshd', 'x', {})).rejects.toThrow();
    expect(seen).toEqual([]);
  });
});
