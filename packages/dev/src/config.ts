/** Settings of the programs in this package; the only module here that reads the environment for settings. */
import { fileURLToPath } from 'node:url';
import { readConfig } from '@meshd/process/config';
import { secretUrl } from '@meshd/process/setting';
import { z } from 'zod';

/** Addresses of backends that somebody else runs. */
export const backendSettings = z.object({
  postgresUrl: secretUrl.optional(),
  redisUrl: secretUrl.optional(),
});

/** Where the test run's backends are; set by the set-up of the test run, read by the tests. */
export const testBackendSettings = z.object({
  testPostgresUrl: secretUrl,
  testRedisUrl: secretUrl,
  /** How databases begin that others are copied from, made by the set-up of the test run. */
  testTemplates: z.string(),
});

/** Addresses given in the environment. @throws ConfigError */
export function readBackendSettings(): z.output<typeof backendSettings> {
  return readConfig(backendSettings);
}

/**
 * Addresses of the test run's backends.
 *
 * @throws ConfigError when the test was started without the runner's set-up
 */
export function readTestBackends(): { postgresUrl: string; redisUrl: string; templatePrefix: string } {
  const ours = Object.entries(process.env).filter(([name]) => name.startsWith('MESHD_TEST_'));
  const settings = readConfig(testBackendSettings, Object.fromEntries(ours));
  return {
    postgresUrl: settings.testPostgresUrl,
    redisUrl: settings.testRedisUrl,
    templatePrefix: settings.testTemplates,
  };
}

/** Hands the addresses to the processes in which tests run. */
export function publishTestBackends(postgresUrl: string, redisUrl: string, templatePrefix: string): void {
  process.env.MESHD_TEST_POSTGRES_URL = postgresUrl;
  process.env.MESHD_TEST_REDIS_URL = redisUrl;
  process.env.MESHD_TEST_TEMPLATES = templatePrefix;
}

/** Folder for programs that were downloaded; goes and comes with the installed packages. */
export const cacheFolder = fileURLToPath(new URL('../../../node_modules/.cache/meshd', import.meta.url));

/** What every program needs of our environment, and nothing else of it: our settings must not leak into another program. */
export function plainEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH', 'NODE_EXTRA_CA_CERTS'];
  return environmentWhere((name) => kept.includes(name));
}

/** The same, and what the Docker command line reads (which engine, which certificates). */
export function dockerEnvironment(): Record<string, string> {
  return { ...plainEnvironment(), ...environmentWhere((name) => name.startsWith('DOCKER_')) };
}

function environmentWhere(keep: (name: string) => boolean): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name, value]) => value !== undefined && keep(name));
  return Object.fromEntries(entries) as Record<string, string>;
}
