/**
 * What every test run has: one Postgres server and one Redis server, chosen or started once, and given to the tests by
 * address. Each test makes databases of its own on them, most as copies of two that are migrated here.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestBackends } from '@meshd/dev/backends';
import { cacheFolder, publishTestBackends, readBackendSettings } from '@meshd/dev/config';
import { dropDatabases } from '@meshd/dev/databases';
import { databaseNames, migratedDatabases } from '@meshd/dev/provider-plan';
import { removeAtEnd } from '@meshd/dev/watchdog';
import type { TestProject } from 'vitest/node';

/** Packages whose tests are pure: a run of these alone starts nothing. */
const purePackages = /^(packages\/(encoding|crypto|dare|schema|limits|binding|telemetry|process)|scripts|test\/tidy)\b/;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const chosen = (project.vitest as { filenamePattern?: string[] }).filenamePattern ?? [];
  if (chosen.length > 0 && chosen.every((pattern) => purePackages.test(pattern))) return async () => {};
  const folder = await mkdtemp(join(tmpdir(), 'meshd-test-'));
  removeAtEnd(folder);
  // Postgres may run as another user than ourselves, who must get to its cluster below.
  await chmod(folder, 0o755);
  const backends = await startTestBackends({
    ...readBackendSettings(),
    postgresFolder: join(folder, 'postgres'),
    logFolder: join(folder, 'logs'),
    cache: cacheFolder,
    passwords: { postgres: randomBytes(16).toString('hex'), redis: randomBytes(16).toString('hex') },
    volume: 'meshd-test',
    // What is tested are processes that die, not machines that lose their power.
    postgresSettings: ['fsync=off', 'full_page_writes=off'],
    say: (text) => console.error(`· ${text}`),
  });
  const templates = `test_template_${randomBytes(6).toString('hex')}`;
  await migratedDatabases(backends.postgres.url, templates, 1);
  publishTestBackends(backends.postgres.url, backends.redis.url, templates);
  // What tests make in the folder for temporary files goes with this run, whatever they leave there.
  process.env.TMPDIR = join(folder, 'tmp');
  await mkdir(process.env.TMPDIR);
  console.error(`· Tests use ${backends.postgres.source} and ${backends.redis.source}`);
  return async () => {
    await dropDatabases(backends.postgres.url, databaseNames(templates, 1));
    await backends.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
