/** `mesh-source` through a provider to `mesh-sink`. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '@meshd/dev/ports';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { type Sink, startSink } from '@meshd/load/sink/sink';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const domain = 'sink.test';
const launcher = createRequire(import.meta.url)
  .resolve('@meshd/load/source/program')
  .replace('dist/source/program.js', 'bin/mesh-source.mjs');
let folder: string;
let sink: Sink;
let provider: TestProvider;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-source-'));
  const [port] = (await freePorts(1)) as [number];
  sink = await startSink({ domain, folder: join(folder, 'sink'), listen: { host: '127.0.0.1', port } });
  provider = await startTestProvider({
    domains: ['alpha.test'],
    outboundSettings: {
      MESHD_DISCOVERY_OVERRIDES: `${domain}=127.0.0.1:${port}`,
      MESHD_PEER_CA_FILE: sink.caFile,
    },
  });
}, 180_000);
afterAll(async () => {
  await provider?.stop();
  await sink?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function source(...args: string[]) {
  const own = ['--home', join(folder, 'home'), '--json', '--account', 'source@alpha.test'];
  const at = ['--url', provider.url, '--ca', provider.caFile];
  const { stdout } = await promisify(execFile)(process.execPath, [launcher, ...args, ...own, ...at]);
  return JSON.parse(stdout);
}

describe('mesh-source', () => {
  it('sends messages at a rate, and tells how each ended', async () => {
    const report = await source('a@sink.test', 'b@sink.test', '--count', '20', '--rate', '40', '--wait', '60');
    expect(report).toMatchObject({ account: 'source@alpha.test', accepted: 20, refused: 0, failed: 0 });
    expect(report.fates).toEqual({ delivered: 20 });
    // The last of them was to be sent after 19/40 s.
    expect(report.seconds).toBeGreaterThanOrEqual(0.475);
    const { messages } = sink.tally;
    expect(messages.map(({ id }) => id).sort()).toEqual(report.messages.map(({ id }: { id: string }) => id).sort());
    expect(messages.filter(({ recipient }) => recipient === 'a@sink.test')).toHaveLength(10);
  }, 300_000);

  it('tells of messages that were refused', async () => {
    sink.behave({ behaviour: 'reject' });
    const report = await source('c@sink.test', '--count', '3', '--wait', '60');
    expect(report.fates).toEqual({ refused: 3 });
    expect(sink.tally.counts.taken).toBe(20);
  }, 300_000);
});
