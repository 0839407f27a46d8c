import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contentDigestUdf } from '@meshd/crypto/udf';
import { beforeAll, describe, expect, it } from 'vitest';

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const launcher = (name: string) => fileURLToPath(new URL(`../bin/${name}.mjs`, import.meta.url));

/** Runs the built launcher as a user does. */
function run(name: 'mesh' | 'mesh-admin', args: readonly string[], input?: string | Uint8Array): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [launcher(name), ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

const mesh = (...args: string[]) => run('mesh', args);
const isOneLine = (text: string) => /^mesh(-admin)?: [^\n]+\n$/.test(text);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mesh-cli-'));
});

describe('mesh', () => {
  it('names the help that is of use', async () => {
    expect((await mesh('bookmark', 'add', 'News/paper')).stderr).toMatch(/; see mesh bookmark add --help\n$/);
    expect((await mesh('device')).stderr).toBe('mesh: a command is missing; see mesh device --help\n');
    expect((await mesh('nonsense')).stderr).toMatch(/; see mesh --help\n$/);
  });

  it('exits 2 with one line for wrong usage', async () => {
    const wrong = [
      ['nonsense'],
      ['account'],
      ['account', 'create'],
      ['account', 'create', 'no-at-sign'],
      ['account', 'create', 'a\u0007b@example.com'],
      ['account', 'create', 'a\u202eb@example.com'],
      ['account', 'create', 'a@example.com', '--url', 'http://example.com'],
      ['container', 'download', 'my_Notes', '--min', '-x'],
      ['hello', 'example.com', '--unknown-option'],
      ['account', 'status', '--encoding', 'xml'],
      ['account', 'sync', '--filter', 'newer'],
      ['account', 'sync', '--filter', 'older'],
      ['account', 'sync', '--filter', 'read=2026-01-01'],
      ['account', 'sync', '--conflicts', 'both'],
      ['account', 'watch', '--json'],
      ['confirm', 'request', 'bob@beta.test', 'Well?', '--expires', '9d'],
      ['container', 'create', '-'],
      ['container', 'append', '-', 'absent'],
      ['container', 'prove', 'my_Notes', '1'],
      ['container', 'prove', 'my_Notes', 'first', '--out', '-'],
    ];
    for (const args of wrong) {
      const { code, stdout, stderr } = await mesh('--home', join(folder, 'none'), ...args);
      expect([args, code, stdout, isOneLine(stderr)]).toEqual([args, 2, '', true]);
      for (const control of ['\u0007', '\u202e']) expect(stderr).not.toContain(control);
    }
  });

  it('exits 1 with one line that says what to do, where a home has no account, and makes none', async () => {
    const home = join(folder, 'none');
    for (const args of [
      ['account', 'status'],
      ['account', 'sync'],
      ['account', 'delete'],
      ['container', 'download', 'my_Notes'],
      ['container', 'audit'],
      ['account', 'watch'],
    ]) {
      const { code, stdout, stderr } = await mesh(...args, '--home', home);
      expect([code, stdout, isOneLine(stderr)]).toEqual([1, '', true]);
      expect(stderr).toContain('mesh account create');
    }
    await expect(stat(home)).rejects.toThrow();
  });

  it('names a file that it cannot read', async () => {
    const { code, stderr } = await mesh('udf', 'digest', join(folder, 'absent'), '--type', 'text/plain');
    expect([code, isOneLine(stderr)]).toEqual([1, true]);
    expect(stderr).toContain('absent');
  });

  it('says nothing but the reason where the result cannot be written', async () => {
    const envelope = join(folder, 'plain.dare');
    await writeFile(envelope, '[{},"aGVsbG8"]');
    const { code, stderr } = await mesh('dare', 'decode', envelope, '--out', join(folder, 'absent', 'out'));
    expect([code, stderr, isOneLine(stderr)]).toEqual([1, expect.stringContaining('does not exist'), true]);
  });

  it('prints one JSON document where the result itself goes to standard output', async () => {
    const envelope = await run('mesh', ['dare', 'encode', '-', '--out', '-', '--json'], 'hello');
    const content = await run('mesh', ['dare', 'decode', '-', '--out', '-', '--json'], envelope.stdout);
    const { stdout: plain } = await run('mesh', ['dare', 'decode', '-', '--out', '-'], envelope.stdout);
    const converted = await run(
      'mesh',
      ['json', 'convert', '--from', 'json', '--to', 'json', '-', '-', '--json'],
      '[1]',
    );
    expect(JSON.parse(envelope.stdout)).toHaveLength(3);
    expect(JSON.parse(content.stdout)).toMatchObject({ bytes: 5, content: 'aGVsbG8' });
    expect([plain, JSON.parse(converted.stdout)]).toEqual(['hello', [1]]);
  });

  it('waits for a standard input whose writer is slower than it', async () => {
    const child = execFile(process.execPath, [launcher('mesh'), 'udf', 'digest', '-', '--type', 'text/plain']);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: string) => (output += text));
    const ended = once(child, 'close');
    child.stdin?.on('error', (error) => (output += error.message));
    // Each part is written when the one before has left: in between the reader finds nothing to read.
    const part = Buffer.alloc(1024 * 1024, 'x');
    for (let sent = 0; sent < 8; sent++) await new Promise((resolve) => child.stdin?.write(part, resolve));
    child.stdin?.end();
    const [code] = await ended;
    const expected = contentDigestUdf({ data: Buffer.alloc(8 * part.length, 'x'), contentType: 'text/plain' });
    expect([code, output]).toEqual([0, `${expected}\n`]);
  });

  it('says what to check when a service does not answer', async () => {
    const args = ['hello', 'example.com', '--url', 'https://127.0.0.1:1', '--home', join(folder, 'home')];
    const { code, stderr } = await mesh(...args);
    expect([code, isOneLine(stderr)]).toEqual([1, true]);
    expect(stderr).toContain('--url');
  });

  it('prints exactly one JSON document under --json, wherever the flag stands', async () => {
    const file = join(folder, 'text');
    await writeFile(file, 'UDF Data Value');
    for (const args of [
      ['--json', 'udf', 'digest', file, '--type', 'text/plain'],
      ['udf', 'digest', file, '--type', 'text/plain', '--json'],
    ]) {
      const { code, stdout } = await mesh(...args);
      expect(code).toBe(0);
      expect(stdout.trim().split('\n')).toHaveLength(1);
      expect(JSON.parse(stdout)).toEqual({ udf: expect.stringMatching(/^M/) });
    }
  });

  it('takes - as standard input', async () => {
    const file = join(folder, 'stdin');
    await writeFile(file, 'some text');
    const fromFile = await mesh('udf', 'digest', file, '--type', 'text/plain', '--json');
    const piped = await run('mesh', ['udf', 'digest', '-', '--type', 'text/plain', '--json'], await readFile(file));
    expect(piped).toEqual(fromFile);
  });

  it('takes a public key that begins with a dash', async () => {
    const key = `-${'A'.repeat(42)}`;
    const { code, stdout } = await mesh('udf', 'key', 'X25519', key, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ udf: expect.any(String), oid: expect.stringMatching(/^O/) });
  });

  it('shows its help on standard output', async () => {
    const { code, stdout } = await mesh('--help');
    expect(code).toBe(0);
    for (const command of ['hello', 'account', 'container', 'key', 'udf', 'dare', 'json'])
      expect(stdout).toContain(command);
  });
});

describe('mesh-admin', () => {
  it('makes a service once, and issues connections for its hosts', async () => {
    const service = join(folder, 'service');
    const first = JSON.parse((await run('mesh-admin', ['service', 'init', service, '--json'])).stdout);
    const second = JSON.parse((await run('mesh-admin', ['service', 'init', service, '--json'])).stdout);
    expect([first.made, second.made]).toEqual([true, false]);
    expect(second.service).toBe(first.service);
    const issued = await run('mesh-admin', ['service', 'issue', service, '--domain', 'Example.COM', '--json']);
    const { domains, hosts } = JSON.parse(issued.stdout);
    expect(domains).toEqual(['example.com']);
    expect(hosts.map(({ role }: { role: string }) => role)).toEqual(['router', 'shard', 'outbound']);
    expect((await stat(join(service, 'service-key.json'))).mode & 0o077).toBe(0);
  });

  it('[S31] makes the keys that routers seal tickets with, once a day', async () => {
    const keys = join(folder, 'tickets');
    const rotate = async () => JSON.parse((await run('mesh-admin', ['service', 'ticket-keys', keys, '--json'])).stdout);
    const first = await rotate();
    expect(first).toEqual({ current: expect.stringMatching(/^[0-9a-f]{16}$/), made: expect.any(Array), removed: [] });
    expect(first.made).toContain(first.current);
    expect(await rotate()).toEqual({ current: first.current, made: [], removed: [] });
  });

  it('refuses roles and databases that are none', async () => {
    const role = await run('mesh-admin', ['service', 'issue', folder, '--domain', 'example.com', '--role', 'cook']);
    expect([role.code, isOneLine(role.stderr)]).toEqual([2, true]);
    const none = await run('mesh-admin', ['database', 'migrate']);
    expect([none.code, isOneLine(none.stderr)]).toEqual([2, true]);
  });
});
