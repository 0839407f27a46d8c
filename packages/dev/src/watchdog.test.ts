import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isAlive, markProcess } from './process-mark.js';
import { waitFor } from './wait.js';

/** Starts a sleeper, says its number and waits to be killed. */
const script = (program: string, watchdog: string, folder: string): string => `
  const { startProgram } = await import('${program}');
  const { removeAtEnd } = await import('${watchdog}');
  removeAtEnd('${folder}');
  const env = { PATH: '/usr/bin:/bin' };
  const { pid } = await startProgram({ name: 'sleeper', command: 'sleep', args: ['60'], logFile: '${folder}/log', env });
  console.log(pid);
  setInterval(() => {}, 1000);
`;

it('what was started ends, and folders go, when whoever started it is killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-watchdog-'));
  const { resolve } = createRequire(import.meta.url);
  const text = script(resolve('@meshd/dev/program'), resolve('@meshd/dev/watchdog'), folder);
  const owner = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((done) => owner.stdout.once('data', (data) => done(Number(data))));
  const sleeper = await markProcess('sleeper', pid);
  expect(await isAlive(sleeper)).toBe(true);
  owner.kill('SIGKILL');
  const gone = async () => ((await isAlive(sleeper)) ? undefined : true);
  await waitFor(gone, { what: 'the end of the sleeper', deadlineMs: 10_000 });
  const removed = async () => ((await stat(folder).catch(() => undefined)) === undefined ? true : undefined);
  await waitFor(removed, { what: 'the removal of the folder', deadlineMs: 10_000 });
  await rm(folder, { recursive: true, force: true });
});
