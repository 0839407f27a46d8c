/** `mesh-load draft-targets` as a person runs it, against a provider with all its parts. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import type { DraftTargetsReport } from '@meshd/load/draft-targets/program';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const launcher = fileURLToPath(new URL('../../packages/load/bin/mesh-load.mjs', import.meta.url));
const runMs = 180_000;
let provider: TestProvider;
beforeAll(async () => {
  provider = await startTestProvider({ domains: ['load.test'] });
}, runMs);
afterAll(() => provider?.stop(), runMs);

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function load(...args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [launcher, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

async function draftTargets(...more: readonly string[]): Promise<Run & { report: DraftTargetsReport }> {
  const where = ['--url', provider.url, '--domain', provider.domain, '--ca', provider.caFile];
  const run = await load('draft-targets', ...where, '--json', ...more);
  if (run.stdout === '') throw new Error(run.stderr);
  return { ...run, report: JSON.parse(run.stdout) };
}

describe('mesh-load draft-targets', () => {
  it(
    '[R176] [R177] sends messages over a slow line, finds all of them at their readers, and ends as its verdict says',
    async () => {
      const { code, report } = await draftTargets('--rate', '2', '--seconds', '4', '--bytes', '20000');
      expect(report).toMatchObject({ messages: 8, accepted: 8, lost: 0, reasons: {} });
      expect(report.link.bitsPerSecond).toBe(10_000_000);
      expect(report.transactionMs.max).toBeGreaterThanOrEqual(report.transactionMs.p50);
      // Whether the rate is held is this machine's business; that the exit code tells is ours.
      expect(code).toBe(report.held ? 0 : 1);
      expect(report.held && report.late > 0).toBe(false);
    },
    runMs,
  );

  it(
    '[R177] says that they do not where the line is too slow for the rate, by a relay too, and ends with 1',
    async () => {
      const slow = ['--link', '200kbit', '--shaper', 'relay', '--rate', '4', '--seconds', '1', '--bytes', '20000'];
      const { code, report } = await draftTargets(...slow);
      // 4 messages of 20,000 octets are more than 3 seconds of such a line.
      expect(report).toMatchObject({ messages: 4, lost: 0, held: false, link: { by: 'relay' } });
      expect(code).toBe(1);
    },
    runMs,
  );

  it('says what is wrong with its arguments, and ends with 2', { timeout: runMs }, async () => {
    const { code, stderr } = await load(
      'draft-targets',
      '--url',
      provider.url,
      '--domain',
      'load.test',
      '--link',
      'fast',
    );
    expect(stderr).toContain('--link takes a speed like 10mbit, not fast');
    expect(code).toBe(2);
    expect((await load('draft-targets', '--url', provider.url)).stderr).toContain('--domain');
    expect((await load('--help')).stdout).toContain('draft-targets');
  });
});
