/**
 * A file much larger than the memory of any process that carries it, between two providers whose processes are real ones;
 * the programs of sender and recipient are killed on the way, and so are router and shards.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { waitFor } from '@meshd/dev/wait';
import { collectorArguments } from '@meshd/process/collector';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { meshLauncher } from '../client/mesh-program.js';
import { onShardsOf } from './kit.js';

const mebibyte = 1024 * 1024;
/** Old space of every process: what the file would not fit into many times over. */
const heapMebibytes = 64;
const fileBytes = 128 * mebibyte + 12_345;
/** By so much a process may grow while the file goes through it: buffers, statements, what is not collected yet. */
const growthBytesMax = 96 * mebibyte;
/** Between two looks at a process that is no child of long life. */
const lookMs = 100;

let folder: string;
let caFile: string;
let alpha: ProviderProcesses;
let beta: ProviderProcesses;
let overrides: string;
let undo: (() => Promise<void>)[] = [];

/** The program of a person, with little memory. */
function start(
  home: string,
  ...args: string[]
): { child: ChildProcess; end: Promise<{ code: number; stdout: string; stderr: string }> } {
  const env = { ...process.env, MESHD_DISCOVERY_OVERRIDES: overrides };
  const all = [`--max-old-space-size=${heapMebibytes}`, meshLauncher, ...args, '--json', '--home', join(folder, home)];
  const child = spawn(process.execPath, all, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const end = new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return { child, end };
}

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
async function run(home: string, ...args: string[]): Promise<any> {
  const { code, stdout, stderr } = await start(home, ...args).end;
  if (code !== 0) throw new Error(`mesh ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-large-processes-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const domains = ['alpha.test', 'beta.test'];
  const made = await Promise.all(domains.map((domain) => makeTestPlan({ domains: [domain] })));
  undo.push(...made.map(({ remove }) => remove));
  const ports = await freePorts(domains.length);
  caFile = join(folder, 'ca.pem');
  const authorities = await Promise.all(made.map(({ plan }) => readFile(plan.certificates.caFile, 'utf8')));
  await writeFile(caFile, authorities.join('\n'));
  overrides = domains.map((domain, at) => `${domain}=127.0.0.1:${ports[at]}`).join(',');
  const settings = { outbound: { MESHD_DISCOVERY_OVERRIDES: overrides, MESHD_PEER_CA_FILE: caFile } };
  const nodeArguments = [`--max-old-space-size=${heapMebibytes}`];
  [alpha, beta] = made.map(
    ({ plan }, at) =>
      new ProviderProcesses({ ...plan, port: ports[at] as number }, join(folder, `logs-${at}`), {
        ...{ nodeArguments, settings },
      }),
  ) as [ProviderProcesses, ProviderProcesses];
  undo.push(
    () => alpha.stop(),
    () => beta.stop(),
  );
  await Promise.all([alpha.start(), beta.start()]);
  for (const address of ['alice@alpha.test', 'bob@beta.test']) {
    await run(address, 'account', 'create', address, '--ca', caFile);
    await run(address, 'contact', 'card', '--file', join(folder, `${address}.card`));
  }
  await run('alice@alpha.test', 'contact', 'allow', 'bob@beta.test', '--card', join(folder, 'bob@beta.test.card'));
  await run('bob@beta.test', 'contact', 'allow', 'alice@alpha.test', '--card', join(folder, 'alice@alpha.test.card'));
}, 240_000);
afterAll(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
}, 120_000);

/** A file with random octets, written in pieces. */
async function makeFile(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha512');
  const piece = Buffer.alloc(mebibyte);
  const file = await open(path, 'w');
  for (let left = bytes; left > 0; left -= piece.length) {
    randomFillSync(piece);
    const part = piece.subarray(0, Math.min(left, piece.length));
    hash.update(part);
    await file.write(part);
  }
  await file.close();
  return hash.digest('hex');
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha512');
  for await (const part of createReadStream(path)) hash.update(part);
  return hash.digest('hex');
}

/** A figure of a process, octets. */
async function memory(pid: number, name: 'VmHWM' | 'VmRSS'): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1]) * 1024;
}

/** The most that a process had, looked at until it ends. */
async function peakUntil(child: ChildProcess, end: Promise<unknown>): Promise<number> {
  let peak = 0;
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const now = await memory(child.pid as number, 'VmHWM').catch(() => 0);
    // One that has ended has no figure any more.
    if (now > peak) peak = now;
    await pause(lookMs);
  }
  return peak;
}

async function storedBytes(): Promise<number> {
  const databases = { directory: '', shards: alpha.plan.shards.map(({ postgresUrl }) => postgresUrl) };
  const rows = await onShardsOf<{ stored: string }>({ databases }, 'SELECT bytes_stored AS stored FROM large_file');
  return Math.max(0, ...rows.map(({ stored }) => Number(stored)));
}

describe('services', () => {
  it('run with what tells the engine how to collect memory', async () => {
    for (const { name, pid } of [...alpha.programs, ...beta.programs]) {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      expect(words, name).toEqual(expect.arrayContaining([...collectorArguments]));
    }
  });
});

describe('[R018] [R158] a file three times as large as the heap of every process that carries it', () => {
  it('arrives, whoever is killed on the way, and no process grows by more than it needs for some slices', async () => {
    const source = join(folder, 'large.bin');
    const digest = await makeFile(source, fileBytes);
    const before = await Promise.all(alpha.programs.map(({ pid }) => memory(pid, 'VmRSS')));
    const send = () => start('alice@alpha.test', 'message', 'send', 'bob@beta.test', '--large', source);

    // The sender's program dies on the way.
    const first = send();
    await waitFor(async () => (await storedBytes()) > 20 * mebibyte || undefined, {
      what: 'slices',
      deadlineMs: 120_000,
    });
    first.child.kill('SIGKILL');
    await first.end;
    const kept = await storedBytes();
    expect(kept).toBeLessThan(fileBytes);

    const second = send();
    const sent = await Promise.all([second.end, peakUntil(second.child, second.end)]);
    expect(sent[0]).toMatchObject({ code: 0, stderr: '' });
    expect(sent[1]).toBeLessThan(growthBytesMax + 100 * mebibyte);
    const { messages, large } = JSON.parse(sent[0].stdout);
    expect(large).toMatchObject({ octets: fileBytes, digest });
    const after = await Promise.all(alpha.programs.map(({ pid }) => memory(pid, 'VmHWM')));
    for (const [at, peak] of after.entries()) {
      expect(peak - (before[at] as number), alpha.programs[at]?.name).toBeLessThan(growthBytesMax);
    }

    const { id } = messages[0];
    await waitFor(
      async () => {
        const box = await run('bob@beta.test', 'message', 'list');
        return box.messages.some((message: { id: string }) => message.id === id) || undefined;
      },
      { what: 'the message', deadlineMs: 120_000 },
    );
    const target = join(folder, 'fetched.bin');
    const partPath = `${target}.${digest.slice(0, 16)}.part`;
    const fetch = () => start('bob@beta.test', 'message', 'fetch', id, '--out', target, '--ca', caFile);
    const partBytes = () =>
      stat(partPath).then(
        ({ size }) => size,
        () => 0,
      );

    // So does the recipient's, and then the router and the shards are killed under him.
    const cut = fetch();
    await waitFor(async () => (await partBytes()) > 20 * mebibyte || undefined, {
      what: 'slices',
      deadlineMs: 120_000,
    });
    cut.child.kill('SIGKILL');
    await cut.end;
    expect(await partBytes()).toBeGreaterThan(20 * mebibyte);
    for (const name of alpha.names.filter((each) => each !== 'outbound')) await alpha.killOne(name);
    for (const name of alpha.names.filter((each) => each !== 'outbound')) await alpha.startOne(name);
    const restarted = await Promise.all(alpha.programs.map(({ pid }) => memory(pid, 'VmRSS')));

    const last = fetch();
    const fetched = await Promise.all([last.end, peakUntil(last.child, last.end)]);
    expect(fetched[0]).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(fetched[0].stdout)).toMatchObject({ octets: fileBytes, digest });
    expect(JSON.parse(fetched[0].stdout).resumed).toBeGreaterThanOrEqual(20 * mebibyte);
    expect(fetched[1]).toBeLessThan(growthBytesMax + 100 * mebibyte);
    expect(await digestOf(target)).toBe(digest);
    const ended = await Promise.all(alpha.programs.map(({ pid }) => memory(pid, 'VmHWM')));
    for (const [at, peak] of ended.entries()) {
      expect(peak - (restarted[at] as number), alpha.programs[at]?.name).toBeLessThan(growthBytesMax);
    }
  }, 600_000);
});
