/**
 * Prints the Secrets that the local overlay refers to, as one Kubernetes list on standard output:
 *
 *     node deploy/dist/local-secrets.js --domain mesh.localhost --data .data/k8s | kubectl apply -f -
 *
 * What is made stays in the data folder, so that a second run prints the same passwords, keys and certificates (and
 * fresh connections of the hosts).
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hostFileNames, hostRoles } from '@meshd/binding/host-files';
import { systemClock } from '@meshd/process/clock';
import { hostFiles, makeProviderFiles, roleFileNames } from './provider-files.js';

/** A Secret as the API takes it. */
export interface SecretManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Makes the files below `dataDir` and returns the Secrets that hold them. */
export async function localSecrets(
  dataDir: string,
  domains: readonly string[],
  namespace: string,
  nowMs: number,
): Promise<SecretManifest[]> {
  const [serviceDir, tlsDir, filesDir] = ['service', 'tls', 'files'].map((name) => join(dataDir, name)) as [
    string,
    string,
    string,
  ];
  await makeProviderFiles({ serviceDir, tlsDir, filesDir }, domains, nowMs);
  const secretOf = async (name: string, type: string, files: Record<string, string>): Promise<SecretManifest> => {
    const entries = Object.entries(files).map(async ([member, file]) => [member, await readBase64(file)]);
    const data = Object.fromEntries(await Promise.all(entries)) as Record<string, string>;
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type, data };
  };
  const file = (role: string, name: string): string => join(filesDir, role, name);
  const { rpcCert, rpcKey, rpcCa, tlsCert, tlsKey, host, tickets } = roleFileNames;
  const rpcSecret = (role: string) =>
    secretOf(`meshd-rpc-${role}`, 'kubernetes.io/tls', {
      'tls.crt': file(role, rpcCert),
      'tls.key': file(role, rpcKey),
      'ca.crt': file(role, rpcCa),
    });
  const perRole = hostRoles.flatMap((role) => [
    rpcSecret(role),
    secretOf(
      `meshd-host-${role}`,
      'Opaque',
      Object.fromEntries(hostFiles.map((name) => [name, file(role, `${host}/${name}`)])),
    ),
  ]);
  return Promise.all([
    ...perRole,
    rpcSecret('operator'),
    secretOf('meshd-tls', 'kubernetes.io/tls', {
      'tls.crt': file('router', tlsCert),
      'tls.key': file('router', tlsKey),
    }),
    secretOf(
      'meshd-ticket-keys',
      'Opaque',
      Object.fromEntries(
        (await readdir(file('router', tickets))).map((name) => [name, file('router', `${tickets}/${name}`)]),
      ),
    ),
    secretOf('meshd-service-key', 'Opaque', {
      [hostFileNames.serviceKey]: join(serviceDir, hostFileNames.serviceKey),
      [hostFileNames.profileService]: join(serviceDir, hostFileNames.profileService),
    }),
    secretOf('meshd-postgres', 'Opaque', {
      user: await constantFile(dataDir, 'postgres-user', () => 'meshd'),
      password: await constantFile(dataDir, 'postgres-password', () => randomBytes(24).toString('hex')),
    }),
    secretOf('meshd-redis', 'Opaque', {
      password: await constantFile(dataDir, 'redis-password', () => randomBytes(24).toString('hex')),
    }),
  ]);
}

async function readBase64(file: string): Promise<string> {
  return (await readFile(file)).toString('base64');
}

/** Path of a small file that is made once and kept. */
async function constantFile(folder: string, name: string, make: () => string): Promise<string> {
  const file = join(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, make(), { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return file;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      domain: { type: 'string', multiple: true, default: ['mesh.localhost'] },
      data: { type: 'string', default: '.data/k8s' },
      namespace: { type: 'string', default: 'meshd' },
    },
  });
  const items = await localSecrets(values.data, values.domain, values.namespace, systemClock());
  process.stdout.write(`${JSON.stringify({ apiVersion: 'v1', kind: 'List', items }, null, 1)}\n`);
}
