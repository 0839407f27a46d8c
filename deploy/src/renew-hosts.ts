/**
 * Renews the hosts' connections (S26) and the ticket keys (S31) in Kubernetes: takes the service's key from its Secret, which is mounted here and
 * nowhere else, and writes what it made into the Secrets that the services mount. Run once a day; they last seven.
 */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostFileNames, hostRoles, issueHost } from '@meshd/binding/host-files';
import { rotateTicketKeys } from '@meshd/binding/ticket-keys';
import { ticketKeyFolder } from '@meshd/dev/service-keys';
import { systemClock } from '@meshd/process/clock';
import { renewConfigSchema } from './config.js';
import { patchSecret, podAccess } from './kubernetes-api.js';
import { hostFiles } from './provider-files.js';
import { runOnce } from './run-once.js';

await runOnce('renew-hosts', renewConfigSchema, async (config, logger) => {
  // Mounted Secrets cannot be written, and the maker of hosts writes beside the service's key: work on a copy, which
  // is kept in memory (the manifest mounts the temporary folder so).
  const work = await mkdtemp(join(tmpdir(), 'hosts-'));
  try {
    await copyPresent(config.serviceDir, work, [hostFileNames.serviceKey, hostFileNames.profileService]);
    const access = await podAccess();
    for (const [index, role] of hostRoles.entries()) {
      const secret = config.hostSecrets[index];
      if (secret === undefined) throw new Error(`no Secret is named for the role ${role}`);
      await copyPresent(join(config.filesDir, role), join(work, role), hostFiles);
      const { udf, notAfterMs } = await issueHost(work, role, { nowMs: systemClock(), domains: config.domains });
      const members: Record<string, Uint8Array> = {};
      for (const name of hostFiles) members[name] = await readFile(join(work, role, name));
      await patchSecret(access, config.namespace, secret, members);
      logger.info({ role, host: udf, notAfter: new Date(notAfterMs).toISOString() }, 'host renewed');
    }
    const keys = join(work, ticketKeyFolder);
    await copyPresent(join(config.filesDir, ticketKeyFolder), keys);
    const { made, removed } = await rotateTicketKeys(keys, systemClock());
    const members: Record<string, Uint8Array | null> = {};
    for (const name of made) members[`${name}.json`] = await readFile(join(keys, `${name}.json`));
    for (const name of removed) members[`${name}.json`] = null;
    await patchSecret(access, config.namespace, config.ticketSecret, members);
    logger.info({ made: made.length, removed: removed.length }, 'ticket keys rotated');
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

/** Copies those of the files that are there; all of them where none are named. */
async function copyPresent(from: string, to: string, names?: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  const present = await readdir(from).catch((error: NodeJS.ErrnoException): string[] => {
    // an optional Secret that is not there yet is an empty folder or none
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // a mounted Secret has entries of the kubelet's own beside its members, which begin with two dots
  const wanted = names ?? present.filter((name) => !name.startsWith('.'));
  for (const name of wanted) if (present.includes(name)) await copyFile(join(from, name), join(to, name));
}
