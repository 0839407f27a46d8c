import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTestBackends } from '@meshd/dev/config';
import { dropDatabases } from '@meshd/dev/databases';
import { freePorts } from '@meshd/dev/ports';
import { databaseNames } from '@meshd/dev/provider-plan';
import { waitFor } from '@meshd/dev/wait';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const program = fileURLToPath(import.meta.resolve('@meshd/dev/start'));

interface ProviderFile {
  readonly domain: string;
  readonly url: string;
  readonly caFile: string;
  readonly adminUrl: string;
  readonly pid: number;
}

/** The program behind `npm start`, as a person has it in a terminal. */
class Terminal {
  output = '';
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(args: readonly string[], settings: Readonly<Record<string, string>>) {
    const { PATH, HOME } = process.env;
    this.child = spawn(process.execPath, [program, ...args], {
      env: { PATH, HOME, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => {
        this.output += chunk;
      });
    }
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
  }

  says(text: string): Promise<true> {
    return waitFor(async () => (this.output.includes(text) ? true : undefined), {
      what: `"${text}"`,
      deadlineMs: 60_000,
      hopeless: () => (this.child.exitCode === null ? undefined : `the program ended: ${this.output}`),
    });
  }
}

let data: string;
let port: number;
const open: Terminal[] = [];
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'meshd-start-'));
  // as a folder that a person makes: others may pass through
  await chmod(data, 0o755);
  [port] = (await freePorts(1)) as [number];
});
afterEach(async () => {
  for (const terminal of open.splice(0)) {
    terminal.child.kill('SIGTERM');
    await terminal.exited;
  }
  await rm(data, { recursive: true, force: true });
});

function start(more: readonly string[] = [], settings: Readonly<Record<string, string>> = {}): Terminal {
  const terminal = new Terminal(['--data', data, '--port', String(port), ...more], settings);
  open.push(terminal);
  return terminal;
}

const providerFile = async (): Promise<ProviderFile> => JSON.parse(await readFile(join(data, 'provider.json'), 'utf8'));

const isReady = async (): Promise<boolean> => (await fetch(`${(await providerFile()).adminUrl}/readyz`)).ok;

describe('npm start', () => {
  it('says where the provider answers, refuses a second one on the same data, stops on Ctrl-C and keeps the data', async () => {
    const first = start(['--domain', 'one.example']);
    await first.says('Ctrl-C stops everything');
    const facts = await providerFile();
    expect(facts).toMatchObject({ domain: 'one.example', url: `https://127.0.0.1:${port}`, pid: first.child.pid });
    expect(first.output).toContain('Registration is open');
    const ready = await fetch(`${facts.adminUrl}/readyz`);
    expect([ready.status, Object.keys(((await ready.json()) as { processes: object }).processes)]).toEqual([
      200,
      ['shard-0', 'shard-1', 'outbound', 'router'],
    ]);
    expect(await (await fetch(`${facts.adminUrl}/metrics`)).text()).toContain('process="shard-1"');

    const second = start();
    expect(await second.exited).toBe(1);
    expect(second.output).toContain(`already runs on the data in ${data} (process ${facts.pid})`);
    expect(second.output).toContain(facts.url);

    const authority = await readFile(facts.caFile, 'utf8');
    first.child.kill('SIGINT');
    expect(await first.exited).toBe(0);
    await expect(providerFile()).rejects.toThrow('ENOENT');

    const again = start(['--domain', 'one.example']);
    await again.says('Ctrl-C stops everything');
    expect(await readFile(facts.caFile, 'utf8')).toBe(authority);
  }, 180_000);

  it('starts a process again that was killed, and cleans up after a run that was killed itself', async () => {
    const first = start();
    await first.says('Ctrl-C stops everything');
    const { programs } = JSON.parse(await readFile(join(data, 'running.json'), 'utf8')) as {
      programs: { name: string; pid: number }[];
    };
    process.kill(programs.find(({ name }) => name === 'router')?.pid as number, 'SIGKILL');
    await first.says('Starting router again');
    await waitFor(async () => (await isReady()) || undefined, { what: 'readiness', deadlineMs: 30_000 });
    first.child.kill('SIGKILL');
    await first.exited;
    const second = start();
    await second.says('Ctrl-C stops everything');
    expect(await isReady()).toBe(true);
  }, 180_000);

  it('uses the servers whose addresses it is given', async () => {
    const { postgresUrl, redisUrl } = readTestBackends();
    const terminal = start([], { MESHD_POSTGRES_URL: postgresUrl, MESHD_REDIS_URL: redisUrl });
    await terminal.says('Ctrl-C stops everything');
    expect(terminal.output).toMatch(/Postgres +MESHD_POSTGRES_URL/);
    expect(terminal.output).toMatch(/Redis +MESHD_REDIS_URL/);
    expect(terminal.output).not.toContain(new URL(postgresUrl).password);
    terminal.child.kill('SIGTERM');
    expect(await terminal.exited).toBe(0);
    const { id } = JSON.parse(await readFile(join(data, 'local-secrets.json'), 'utf8')) as { id: string };
    await dropDatabases(postgresUrl, databaseNames(`meshd_${id}`, 2));
  }, 180_000);

  it('refuses settings that do not exist', async () => {
    const terminal = start([], { MESHD_POSTGRESS_URL: 'postgres://localhost' });
    expect(await terminal.exited).toBe(1);
    expect(terminal.output).toContain('MESHD_POSTGRESS_URL is not a setting');
  });

  it('says in a sentence that its port is taken, and leaves nothing running', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    const terminal = start();
    expect(await terminal.exited).toBe(1);
    expect(terminal.output).toContain(`port ${port} is in use; choose another with --port`);
    await expect(readFile(join(data, 'running.json'))).rejects.toThrow('ENOENT');
    await new Promise((resolve) => other.close(resolve));
  });

  it('says in a sentence what is wrong with its options', async () => {
    const wrong = start(['--colour', 'blue']);
    expect(await wrong.exited).toBe(2);
    expect(wrong.output).toContain('--colour');
  });
});
