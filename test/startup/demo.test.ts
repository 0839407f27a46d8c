/** `npm run demo`, as a person sees it. */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readTestBackends } from '@meshd/dev/config';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(import.meta.resolve('@meshd/dev/demo'));

function runDemo(...args: string[]): Promise<{ code: number | null; output: string }> {
  const { PATH, HOME } = process.env;
  const { postgresUrl, redisUrl } = readTestBackends();
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH, HOME, MESHD_POSTGRES_URL: postgresUrl, MESHD_REDIS_URL: redisUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

const foldersOfDemos = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('meshd-demo-'));

describe('npm run demo', () => {
  it('sends messages both ways between two providers, through an outage too, and leaves nothing behind', async () => {
    const before = await foldersOfDemos();
    const { code, output } = await runDemo();
    expect(output).toContain('3 of 3 messages arrived, each exactly once');
    expect(output).toMatch(
      /alice\$ mesh message send bob@beta\.test --type Note --file note\.txt\n {4}\S+ sent to bob@/,
    );
    expect(output).toContain('Lunch on Thursday');
    expect(output).toContain('beta.test signed for it');
    expect(output).toMatch(/operator\$ mesh-admin queue shape --data \S+\n {4}destination/);
    expect(output).toMatch(/beta\.test +resting +1 /);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    expect(output).not.toMatch(/\u001b/);
    expect(code).toBe(0);
    expect((await foldersOfDemos()).filter((name) => !before.includes(name))).toEqual([]);
  }, 600_000);

  it('takes no options', async () => {
    expect(await runDemo('--fast')).toMatchObject({ code: 2, output: expect.stringContaining('Usage: npm run demo') });
    expect(await runDemo('--help')).toMatchObject({ code: 0 });
  });
});
