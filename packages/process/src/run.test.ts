import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';

const { resolve } = createRequire(import.meta.url);

interface End {
  readonly code: number | null;
  readonly lines: readonly Record<string, unknown>[];
  readonly durationMs: number;
}

/** Runs a process whose service is given as text; once it says that it has started it gets a signal. */
function runProcess(
  service: string,
  env: Record<string, string> = {},
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<End> {
  const text = `
    import { runMain, runService } from '${resolve('@meshd/process/run')}';
    import { z } from '${resolve('zod')}';
    const schema = z.object({ greeting: z.string() });
    const start = ${service};
    await runMain({ service: 'trial', schema, start });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let signalledMs = 0;
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (signalledMs !== 0 || !output.includes('"started"')) return;
    signalledMs = performance.now();
    child.kill(signal);
  });
  return new Promise((done) => {
    child.once('close', (code) => {
      const lines = output.split('\n').filter((line) => line !== '');
      done({ code, lines: lines.map((line) => JSON.parse(line)), durationMs: performance.now() - signalledMs });
    });
  });
}

const settings = { MESHD_GREETING: 'hello' };
const messages = (end: End): unknown[] => end.lines.map((line) => line.msg);

describe('a process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops in good order on %s', async (signal) => {
    const service = `async ({ config, logger }) => {
      const timer = setInterval(() => {}, 1000);
      return { stop: async () => { clearInterval(timer); logger.info(config.greeting); } };
    }`;
    const end = await runProcess(service, settings, signal);
    expect([end.code, messages(end)]).toEqual([0, ['started', 'stopping', 'hello', 'stopped']]);
  });

  it('is ended by force when something keeps it after its stop, and says so', async () => {
    const text = `async ({ logger }) => {
      setInterval(() => {}, 1000);
      await runService({ logger, graceMs: 300, start: async () => ({ stop: () => new Promise(() => {}) }) });
    }`;
    const end = await runProcess(text, settings);
    expect(end.code).toBe(1);
    expect(messages(end).at(-1)).toMatch('leaving by force');
    expect(end.durationMs).toBeGreaterThanOrEqual(290);
  });

  it('ends with code 1 when its service cannot start', async () => {
    const end = await runProcess(
      `async () => { setInterval(() => {}, 1000); throw new Error('no database'); }`,
      settings,
    );
    expect(end.code).toBe(1);
    expect(end.lines[0]).toMatchObject({ msg: 'cannot start', err: { message: 'no database' } });
  });

  it('names every wrong setting and does not start', async () => {
    const end = await runProcess('async () => { throw new Error("not reached"); }', { MESHD_GREETINGS: 'hello' });
    expect(end.code).toBe(1);
    expect(end.lines).toMatchObject([
      {
        msg: 'configuration refused',
        problems: ['MESHD_GREETINGS is not a setting of this process', 'MESHD_GREETING is missing'],
      },
    ]);
  });

  it('leaves with code 1 after an error that nobody awaited', async () => {
    const service = `async () => {
      setInterval(() => {}, 1000);
      setTimeout(() => { throw new Error('stray'); }, 50);
      return { stop: () => new Promise(() => {}) };
    }`;
    const end = await runProcess(service, settings, 'SIGCONT');
    expect([end.code, messages(end)]).toEqual([1, ['started', 'stray error', expect.stringMatching('by force')]]);
  });
});
