import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { freePorts } from './ports.js';

const run = promisify(execFile);
const module = fileURLToPath(new URL('../dist/ports.js', import.meta.url));

/** Ports that another process is given, which has ended since, or is still there. */
async function portsElsewhere(count: number): Promise<number[]> {
  const program = `import('${module}').then(async ({ freePorts }) => console.log(JSON.stringify(await freePorts(${count}))))`;
  const { stdout } = await run(process.execPath, ['-e', program]);
  return JSON.parse(stdout);
}

describe('free ports', () => {
  test('are given once, also before anybody listens there', async () => {
    const given = (await Promise.all(Array.from({ length: 10 }, () => freePorts(20)))).flat();
    expect(new Set(given).size).toBe(200);
  });

  test('are not those that another process was given and has not used yet', async () => {
    // Who did not look would be given some of ours, but for once in a hundred times.
    const ours = (await Promise.all(Array.from({ length: 8 }, () => freePorts(50)))).flat();
    const theirs = await portsElsewhere(200);
    expect(theirs.filter((port) => ours.includes(port))).toEqual([]);
  });

  test('can be listened on, and hold no process', async () => {
    const [port] = await portsElsewhere(1);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  });
});
