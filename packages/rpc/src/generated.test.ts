import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
const rpc = join(root, 'packages/rpc');
const bin = join(root, 'node_modules/.bin');
const generated = 'src/generated/meshd/shard/v1/shard.ts';

const buf = (...args: string[]) =>
  run(join(bin, 'buf'), args, { cwd: rpc, env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } });

it('the committed code is what the messages make', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-rpc-'));
  try {
    await buf('generate', '--output', folder);
    expect(await readFile(join(folder, generated), 'utf8')).toBe(await readFile(join(rpc, generated), 'utf8'));
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('the messages follow the rules of the linter', async () => {
  await buf('lint');
});
