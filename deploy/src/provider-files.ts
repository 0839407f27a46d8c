/** The files of a provider on one machine, laid out so that each role can be given its own folder and nothing else. */
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hostFileNames, hostRoles } from '@meshd/binding/host-files';
import { ensureCertificates } from '@meshd/dev/certificates';
import { ensureServiceKeys, ticketKeyFolder } from '@meshd/dev/service-keys';

/** Where things are made and where they go. */
export interface ProviderFolders {
  readonly serviceDir: string;
  readonly tlsDir: string;
  readonly filesDir: string;
}

/** Names below a role's folder; the compose file and the manifests point their settings at them. */
export const roleFileNames = {
  host: 'host',
  rpcCert: 'rpc/tls.crt',
  rpcKey: 'rpc/tls.key',
  rpcCa: 'rpc/ca.crt',
  tlsCert: 'tls/tls.crt',
  tlsKey: 'tls/tls.key',
  tlsCa: 'tls/ca.crt',
  tickets: 'tickets',
} as const;

/**
 * Makes what is missing, a fresh connection for every host, and copies to each role what it reads. A second call renews
 * the connections and keeps the rest.
 *
 * @param nowMs the time, milliseconds since 1970
 * @returns UDF of the service
 */
export async function makeProviderFiles(
  folders: ProviderFolders,
  domains: readonly string[],
  nowMs: number,
): Promise<string> {
  const certificates = await ensureCertificates(folders.tlsDir, domains, nowMs);
  const udf = await ensureServiceKeys(folders.serviceDir, domains, nowMs);
  for (const role of hostRoles) {
    const to = (name: string): string => join(folders.filesDir, role, name);
    await copyInto(certificates.internal[role].certFile, to(roleFileNames.rpcCert));
    await copyInto(certificates.internal[role].keyFile, to(roleFileNames.rpcKey));
    await copyInto(certificates.internalCaFile, to(roleFileNames.rpcCa));
    if (role === 'router') {
      await copyInto(certificates.server.certFile, to(roleFileNames.tlsCert));
      await copyInto(certificates.server.keyFile, to(roleFileNames.tlsKey));
      await copyInto(certificates.caFile, to(roleFileNames.tlsCa));
      await mirror(join(folders.serviceDir, ticketKeyFolder), to(roleFileNames.tickets));
    }
    await copyHost(join(folders.serviceDir, role), to(roleFileNames.host));
  }
  // Who operates is no host, and signs nothing for the service.
  const { operator } = certificates.internal;
  await copyInto(operator.certFile, join(folders.filesDir, 'operator', roleFileNames.rpcCert));
  await copyInto(operator.keyFile, join(folders.filesDir, 'operator', roleFileNames.rpcKey));
  await copyInto(certificates.internalCaFile, join(folders.filesDir, 'operator', roleFileNames.rpcCa));
  return udf;
}

/** The files that a host of any role reads, in the order in which they may be replaced: the connection comes last. */
export const hostFiles = [
  hostFileNames.hostKey,
  hostFileNames.profileHost,
  hostFileNames.profileService,
  hostFileNames.connectionHost,
] as const;

async function copyHost(from: string, to: string): Promise<void> {
  for (const name of hostFiles) await copyInto(join(from, name), join(to, name));
}

/** Makes a folder hold what another one holds: a key that was destroyed there is destroyed here. */
async function mirror(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  const names = await readdir(from);
  for (const name of names) await copyInto(join(from, name), join(to, name));
  for (const name of await readdir(to)) if (!names.includes(name)) await rm(join(to, name), { force: true });
}

/** Copies beside and renames: a process that watches the folder never reads half a file. */
async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const beside = `${to}.${process.pid}.new`;
  await copyFile(from, beside);
  await rename(beside, to);
}
