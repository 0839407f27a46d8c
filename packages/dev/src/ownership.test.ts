import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InUseError, takeOwnership } from './ownership.js';
import { startProgram } from './program.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-ownership-'));
  file = join(folder, 'running.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const sleeper = () =>
  startProgram({
    name: 'sleeper',
    command: 'sleep',
    args: ['60'],
    logFile: join(folder, 'log'),
    env: { PATH: '/usr/bin:/bin' },
  });

describe('a data folder', () => {
  it('has one owner at a time', async () => {
    const ownership = await takeOwnership(file, () => {});
    await expect(takeOwnership(file, () => {})).rejects.toThrow(InUseError);
    await ownership.release();
    await (await takeOwnership(file, () => {})).release();
  });

  it('is taken over from an owner that was killed, and what it left is stopped', async () => {
    const program = await sleeper();
    const first = await takeOwnership(file, () => {});
    await first.record([program]);
    const record = JSON.parse(await readFile(file, 'utf8'));
    // the same number, but of a process that started at another time: not the owner any more
    await writeFile(file, JSON.stringify({ ...record, owner: { ...record.owner, started: '1' } }));
    const said: string[] = [];
    const second = await takeOwnership(file, (text) => said.push(text));
    expect((await program.ended).signal).toBe('SIGINT');
    expect(said.join()).toContain(`sleeper (process ${program.pid})`);
    await second.release();
  });
});
