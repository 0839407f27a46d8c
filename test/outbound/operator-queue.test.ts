/** What an operator sees and does of messages that wait, with the program and over the shards' rpc. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '@meshd/dev/ports';
import { shardAddresses } from '@meshd/dev/service-settings';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MeshRun, mesh } from '../client/mesh-program.js';

const launcher = fileURLToPath(new URL('../../packages/cli/bin/mesh-admin.mjs', import.meta.url));
const destination = 'beta.test';

let provider: TestProvider;
let folder: string;
let alice: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-operator-'));
  alice = join(folder, 'alice');
  const [nobody] = await freePorts(1);
  const outboundSettings = { MESHD_DISCOVERY_OVERRIDES: `${destination}=127.0.0.1:${nobody}` };
  provider = await startTestProvider({ domains: ['alpha.test'], outboundSettings });
  const create = ['account', 'create', 'alice@alpha.test', '--url', provider.url, '--ca', provider.caFile];
  expect((await mesh([...create, '--home', alice])).code).toBe(0);
});
afterAll(async () => {
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs `mesh-admin` with the certificate of a role. */
function admin(role: 'operator' | 'router', ...args: string[]): Promise<MeshRun> {
  const { certificates } = provider.plan;
  const { certFile, keyFile } = certificates.internal[role];
  const where = ['--shards', shardAddresses(provider.plan).join(','), '--ca', certificates.internalCaFile];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [launcher, ...args, ...where, '--cert', certFile, '--key', keyFile],
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
    child.stdin?.end();
  });
}

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
async function json(...args: string[]): Promise<any> {
  const { code, stdout, stderr } = await admin('operator', ...args, '--json');
  expect([code, stderr], args.join(' ')).toEqual([0, '']);
  return JSON.parse(stdout);
}

async function send(): Promise<string> {
  const args = ['message', 'send', `bob@${destination}`, '--type', 'RequestContact', '--json', '--home', alice];
  return JSON.parse((await mesh(args)).stdout).messages[0].id;
}

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
const fate = async (id: string): Promise<any> =>
  JSON.parse((await mesh(['message', 'status', id, '--json', '--home', alice])).stdout).deliveries[0];

const waitingMs = { timeout: 60_000, interval: 200 };

describe('mesh-admin queue', () => {
  it('shows nothing where nothing waits', async () => {
    expect(await json('queue', 'shape')).toMatchObject({ rows: 0, destinations: [] });
    expect((await admin('operator', 'queue', 'shape')).stdout).toBe('nothing waits\n');
    expect((await admin('operator', 'queue', 'show', destination)).stdout).toBe('beta.test (healthy): nothing waits\n');
  });

  it('shows what waits by destination and age, and why; the sender sees the same', async () => {
    const id = await send();
    await expect
      .poll(() => fate(id), waitingMs)
      .toMatchObject({
        result: 'queued',
        attempts: expect.any(Number),
        reason: expect.stringMatching(/./),
        expires: expect.any(String),
      });
    const shape = await json('queue', 'shape');
    expect(shape).toMatchObject({ rows: 1, destinations: [{ destination, state: 'resting', rows: 1 }] });
    const [{ rowsByAge }] = shape.destinations;
    expect(rowsByAge.reduce((sum: number, count: number) => sum + count, 0)).toBe(1);
    const table = (await admin('operator', 'queue', 'shape')).stdout;
    expect(table).toMatch(/^destination +state +waiting +on the way +<1m +<10m +<1h +<6h +<24h +older +oldest\n/);
    expect(table).toMatch(/\nbeta\.test +resting +1 /);
    const { messages, more } = await json('queue', 'show', destination);
    expect(more).toBe(false);
    expect(messages).toMatchObject([{ id, sender: 'alice@alpha.test', recipient: `bob@${destination}` }]);
    expect((await admin('operator', 'queue', 'show', destination)).stdout).toMatch(
      new RegExp(`\\nmessage +from +to [^\\n]+\\n${id} +alice@alpha\\.test +bob@beta\\.test `),
    );
    expect(await json('queue', 'show', destination, '--messages', '0')).toMatchObject({ messages: [], more: true });
    const state = await json('destination', 'show', destination);
    expect(state.shards).toContainEqual(
      expect.objectContaining({
        state: 'resting',
        failures: expect.any(Number),
        nextAttempt: expect.any(String),
        rows: 1,
      }),
    );
    const text = (await mesh(['message', 'status', id, '--home', alice])).stdout;
    expect(text).toMatch(
      /beta\.test: queued\n {2}\d+ attempts?, the last one failed: cannot connect[^\n]+\n {2}next attempt [^\n]+\n {2}given up in 1 d/,
    );
  });

  it('holds and releases, and has a destination tried at once', async () => {
    expect(await json('queue', 'hold', destination)).toEqual({ destination, action: 'hold', rows: 1 });
    expect(await json('queue', 'show', destination)).toMatchObject({ state: 'held', rows: 1 });
    const id = await send();
    expect(await fate(id)).toMatchObject({ result: 'queued', attempts: 0, reason: 'held' });
    expect((await mesh(['message', 'status', id, '--home', alice])).stdout).toContain('holds everything');
    expect(await json('queue', 'release', destination)).toMatchObject({ rows: 2 });
    await expect.poll(async () => (await fate(id)).attempts, waitingMs).toBeGreaterThan(0);
    const { attempts } = await fate(id);
    expect(await json('queue', 'retry', '--all')).toMatchObject({ destination: null, action: 'retry', rows: 2 });
    await expect.poll(async () => (await fate(id)).attempts, waitingMs).toBeGreaterThan(attempts);
  });

  it('drops only what it is told to drop, and the senders are told', async () => {
    await json('queue', 'hold', destination);
    const id = await send();
    const asked = await admin('operator', 'queue', 'drop', destination);
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringMatching(/nothing was dropped \(3 messages/)]);
    // Those that are on their way are left to their worker.
    await expect
      .poll(async () => {
        await json('queue', 'drop', destination, '--yes');
        return (await json('queue', 'shape')).rows;
      }, waitingMs)
      .toBe(0);
    expect(await fate(id)).toMatchObject({ result: 'refused', statusExtended: 5 });
    expect((await mesh(['message', 'status', id, '--home', alice])).stdout).toContain(
      ': refused\n  refused by policy (5)',
    );
  });

  it('[S91] is for operators alone: the certificate of another role is refused', async () => {
    const { code, stdout, stderr } = await admin('router', 'queue', 'drop', '--all', '--yes');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^mesh-admin: shard-\d: only operator asks for changeDestination\n$/);
  });

  it('[R109] closes an account to its own devices, and opens it again', async () => {
    const account = 'alice@alpha.test';
    const status = () => mesh(['account', 'status', '--json', '--home', alice]);
    expect(await json('account', 'block', 'Alice@alpha.test')).toEqual({ account, action: 'block', changed: true });
    const refused = await status();
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/blocked/i)]);
    expect((await admin('operator', 'account', 'block', account)).stdout).toBe(`${account}: was blocked already\n`);
    expect((await admin('operator', 'account', 'unblock', account)).stdout).toBe(`${account}: unblocked\n`);
    expect((await status()).code).toBe(0);
    const stranger = await admin('operator', 'account', 'block', 'nobody@alpha.test');
    expect([stranger.code, stranger.stderr]).toEqual([
      1,
      expect.stringMatching(/^mesh-admin: shard-\d: No such account/),
    ]);
  });

  it('shows how an account stands, and sets what it may hold', async () => {
    const account = 'alice@alpha.test';
    const { containers, bytes, frames, created, ...shown } = await json('account', 'show', 'Alice@alpha.test');
    const sum = (of: 'bytes' | 'frames') =>
      containers.reduce((all: number, each: Record<string, number>) => all + (each[of] ?? 0), 0);
    expect(shown).toMatchObject({ account, status: 'connected', away: null, devices: 1 });
    expect([sum('bytes'), sum('frames'), Date.parse(created) > 0]).toEqual([bytes, frames, true]);
    expect(containers.map(({ name }: { name: string }) => name)).toContain('mmm_Device');
    const full = { account, bytesMax: bytes, framesMax: shown.framesMax };
    expect(await json('account', 'quota', account, '--bytes', String(bytes))).toEqual({ ...full, changed: true });
    expect(await json('account', 'quota', account, '--bytes', String(bytes))).toEqual({ ...full, changed: false });
    const { stdout } = await admin('operator', 'account', 'quota', account, '--bytes', String(shown.bytesMax));
    expect(stdout).toBe(`${account}: may hold ${shown.bytesMax} octets, ${shown.framesMax} frames\n`);
    expect((await admin('operator', 'account', 'show', account)).stdout).toMatch(
      /^alice@alpha\.test: connected, since /,
    );
    expect(await admin('operator', 'account', 'quota', account)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--bytes'),
    });
    const stranger = await admin('operator', 'account', 'show', 'nobody@alpha.test');
    expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringMatching(/No such account/)]);
  });

  it('says in one line what is wrong', async () => {
    expect(await admin('operator', 'queue', 'hold')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--all'),
    });
    const lost = await admin('operator', 'queue', 'shape', '--data', folder);
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringMatching(/^mesh-admin: no provider runs [^\n]*\n$/)]);
  });
});
