/**
 * The compose file, run without containers: its own settings and commands, with paths and addresses of this machine in
 * place of those inside the containers. What Docker would add (images, networks, volumes) is checked as text elsewhere.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTestBackends } from '@meshd/dev/config';
import { dropDatabases, ensureDatabases } from '@meshd/dev/databases';
import { freePorts } from '@meshd/dev/ports';
import { type RunningProgram, startProgram } from '@meshd/dev/program';
import { waitFor } from '@meshd/dev/wait';
import { shutdownMsMax } from '@meshd/limits/limits';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const compose = parse(readFileSync(`${root}docker-compose.yml`, 'utf8'), { merge: true });
const databases = ['meshd-directory', 'meshd-shard-0', 'meshd-shard-1'];
const services = ['shard-0', 'shard-1', 'outbound', 'router'];

let folder: string;
let ports: Map<string, number>;
const running: RunningProgram[] = [];
const backends = readTestBackends();
/** Databases of this run on the tests' server, by the names in the compose file. */
let madeUrls: Map<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-compose-'));
  const run = basename(folder).toLowerCase();
  const urls = await ensureDatabases(
    backends.postgresUrl,
    databases.map((name) => `${run}-${name}`),
  );
  madeUrls = new Map(databases.map((name, index) => [name, urls[index] as string]));
  const wanted = ['shard-0:7443', 'shard-1:7443', 'router:8443', ...services.map((name) => `${name}:9464`)];
  const free = await freePorts(wanted.length);
  ports = new Map(wanted.map((name, index) => [name, free[index] as number]));
});

afterAll(async () => {
  await Promise.all(running.map((program) => program.stop(shutdownMsMax)));
  await dropDatabases(
    backends.postgresUrl,
    [...madeUrls.values()].map((url) => new URL(url).pathname.slice(1)),
  );
  await rm(folder, { recursive: true, force: true });
});

const roleOf = (service: string): string => service.replace(/-\d$/, '');

/** A value of the compose file, with this machine's paths and addresses. */
function translated(service: string, text: string): string {
  const value = text.replace(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1');
  if (value.startsWith('postgres://')) return madeUrls.get(new URL(value).pathname.slice(1)) as string;
  if (value.startsWith('redis://')) return backends.redisUrl;
  const files = services.includes(service) ? join(folder, 'files', roleOf(service)) : join(folder, 'files');
  return value
    .replace(/^\/files(?=\/|$)/, files)
    .replace(/^\/(service|tls)$/, `${folder}/$1`)
    .replace(/^0\.0\.0\.0:(\d+)$/, (_, port) => `127.0.0.1:${ports.get(`${service}:${port}`)}`)
    .replace(/shard-\d:7443/g, (address) => `127.0.0.1:${ports.get(address)}`);
}

function start(service: string): Promise<RunningProgram> {
  const environment = Object.entries(compose.services[service].environment as Record<string, string>);
  const [, ...args] = compose.services[service].command ?? ['node', `services/${roleOf(service)}/dist/main.js`];
  return startProgram({
    name: service,
    command: process.execPath,
    args,
    cwd: root,
    env: Object.fromEntries(environment.map(([name, value]) => [name, translated(service, String(value))])),
    logFile: join(folder, `${service}.log`),
  });
}

describe('the provider of the compose file', () => {
  test('is prepared, migrated, gets ready, answers, and stops in good order', async () => {
    for (const job of ['prepare', 'migrate-0', 'migrate-1']) {
      const program = await start(job);
      expect([job, (await program.ended).code, program.tail()]).toEqual([job, 0, expect.any(String)]);
    }
    for (const service of services) running.push(await start(service));
    for (const program of running) {
      await waitFor(
        async () => {
          const answer = await fetch(`http://127.0.0.1:${ports.get(`${program.name}:9464`)}/readyz`);
          if (answer.ok) return true;
          throw new Error(await answer.text());
        },
        {
          what: program.name,
          deadlineMs: 30_000,
          hopeless: () => (program.end === undefined ? undefined : program.tail()),
        },
      );
    }
    const url = `https://127.0.0.1:${ports.get('router:8443')}`;
    const hello = await startProgram({
      name: 'mesh',
      command: process.execPath,
      args: [
        ...['packages/cli/bin/mesh.mjs', '--json', '--home', join(folder, 'home')],
        ...['hello', 'mesh.localhost', '--url', url, '--ca', join(folder, 'files/router/tls/ca.crt')],
      ],
      cwd: root,
      logFile: join(folder, 'hello.log'),
    });
    await hello.ended;
    expect(JSON.parse(hello.tail())).toMatchObject({
      domain: 'mesh.localhost',
      features: expect.arrayContaining(['auth-1']),
    });
    for (const program of running)
      expect([program.name, await program.stop(shutdownMsMax)]).toEqual([program.name, { code: 0, signal: null }]);
  }, 90_000);
});
