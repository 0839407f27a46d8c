/** `mesh-sink`, as a service that asks it sees it, and as a program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressRanges } from '@meshd/binding/discovery/address-range';
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { BindingError } from '@meshd/binding/errors';
import { PeerConnection } from '@meshd/binding/peer-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { waitFor } from '@meshd/dev/wait';
import { type Behaviour, behaviourNames } from '@meshd/load/sink/behaviour';
import { type Sink, startSink } from '@meshd/load/sink/sink';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeIdentity } from '../client/scripted-service.js';

const domain = 'sink.test';
/** For what must be answered, and for what must not be. */
const [patientMs, shortMs] = [20_000, 1500];
let folder: string;
let sink: Sink;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-sink-'));
  sink = await startSink({ domain, folder: join(folder, 'sink'), listen: { host: '127.0.0.1', port: 0 } });
});
afterAll(async () => {
  await sink?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A worker's way to the sink, with nothing known of it. */
async function connection(): Promise<PeerConnection> {
  const host = await makeIdentity(join(folder, 'alpha'), { domains: ['alpha.test'] });
  const place = { host: '127.0.0.1', port: sink.address.port, path: '/.well-known/mmm' };
  const clock = () => Date.now();
  const allowed = addressRanges([]);
  const locator = new ServiceLocator({ overrides: new Map([[domain, place]]), allowed, clock });
  const ca = await readFile(sink.caFile, 'utf8');
  return new PeerConnection({ domain, locator, host: () => host, pins: memoryPinStore(), ca, clock });
}

/** What comes of a Hello, as a word: `ok` or the code of the fault. */
async function helloTo(withinMs: number): Promise<string> {
  const way = await connection();
  try {
    await way.hello({ deadlineMs: Date.now() + withinMs });
    return 'ok';
  } catch (error) {
    return error instanceof BindingError ? error.code : String(error);
  } finally {
    way.stop();
  }
}

const outcomes: Readonly<Record<Behaviour, string>> = {
  ...{ well: 'ok', reject: 'ok', mute: 'timeout', hang: 'timeout', drip: 'timeout' },
  ...{ 'wrong-certificate': 'transport', lose: 'transport', cut: 'transport', noise: 'transport' },
  ...{ garbage: 'response-form', oversized: 'response-too-large', unsigned: 'unsigned-error' },
  ...{ 'other-request': 'response-refused', 'wrong-id': 'response-refused' },
  old: 'feature-missing',
  ...{ redirect: 'unsigned-error', 'busy-unsigned': 'unsigned-error' },
  // A true answer of another status is no Hello.
  ...{ 'redirect-signed': 'response-refused', busy: 'response-refused' },
};

describe('a sink', () => {
  it.each(behaviourNames)('that is told to, behaves like this: %s', async (behaviour) => {
    sink.behave({ behaviour });
    const metBefore = sink.tally.counts.met;
    expect(await helloTo(outcomes[behaviour] === 'timeout' ? shortMs : patientMs)).toBe(outcomes[behaviour]);
    expect(sink.tally.counts.met > metBefore).toBe(behaviour !== 'well');
  });

  it('is well again after as many requests as it was told', async () => {
    sink.behave({ behaviour: 'unsigned', times: 1 });
    expect([await helloTo(patientMs), await helloTo(patientMs)]).toEqual(['unsigned-error', 'ok']);
    expect(sink.conduct).toEqual({ behaviour: 'well' });
  });

  it('is awkward about one transaction alone, where that was said', async () => {
    sink.behave({ behaviour: 'hang', on: 'Post' });
    expect(await helloTo(patientMs)).toBe('ok');
  });
});

const launcher = createRequire(import.meta.url)
  .resolve('@meshd/load/sink/program')
  .replace('dist/sink/program.js', '');

/** Starts the program and reads where it answers. */
async function program(...args: string[]): Promise<{ child: ChildProcess; state: { control: string; url: string } }> {
  const data = join(folder, 'program');
  const command = [join(launcher, 'bin/mesh-sink.mjs'), 'bob.test', '--data', data, '--json', ...args];
  const listen = ['--listen', '127.0.0.1:0', '--control', '127.0.0.1:0'];
  const child = spawn(process.execPath, [...command, ...listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  const state = await waitFor(async () => JSON.parse(await readFile(join(data, 'sink.json'), 'utf8')), {
    ...{ what: 'mesh-sink', deadlineMs: 200_000 },
    hopeless: () => (child.exitCode === null ? undefined : `ended with ${child.exitCode}`),
  });
  return { child, state };
}

describe('mesh-sink', () => {
  it('is told and asked over HTTP, and prints what it got when it is stopped', async () => {
    const { child, state } = await program('--behaviour', 'drip', '--on', 'Post');
    const printed: Buffer[] = [];
    child.stdout?.on('data', (part: Buffer) => printed.push(part));
    const get = async (path: string) => (await fetch(`${state.control}${path}`)).json();
    const tell = (conduct: object) =>
      fetch(`${state.control}/conduct`, { method: 'PUT', body: JSON.stringify(conduct) });
    expect(await get('/')).toMatchObject({ domain: 'bob.test', conduct: { behaviour: 'drip', on: 'Post' } });
    expect((await tell({ behaviour: 'busy', retryAfterSeconds: 5 })).status).toBe(200);
    expect(await get('/')).toMatchObject({ conduct: { behaviour: 'busy', retryAfterSeconds: 5 }, messages: 0 });
    expect((await tell({ behaviour: 'kind' })).status).toBe(400);
    expect((await tell({ behaviour: 'busy', retryAfter: 5 })).status).toBe(400);
    expect(await get('/messages')).toEqual([]);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(JSON.parse(Buffer.concat(printed).toString())).toMatchObject({ domain: 'bob.test', list: [] });
  }, 300_000);
});
