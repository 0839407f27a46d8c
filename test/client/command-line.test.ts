/** The commands as a person types them, against a whole provider. */
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitingRequests } from '../waiting-requests.js';
import { mesh, meshJson, startMesh } from './mesh-program.js';

let provider: TestProvider;
let folder: string;
let home: string;
let address: string;
let service: string[];

/** A container in a document. */
interface Listed {
  readonly container: string;
  readonly root?: string;
  readonly index?: number;
}

/** Runs a command that must succeed and gives its JSON document. */
const json = (...args: string[]) => meshJson(home, ...args);

beforeAll(async () => {
  provider = await startTestProvider();
  folder = await mkdtemp(join(tmpdir(), 'meshd-cli-'));
  home = join(folder, 'home');
  address = `alice@${provider.domain}`;
  service = ['--url', provider.url, '--ca', provider.caFile];
});
afterAll(async () => {
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('mesh, from the first Hello to the last', () => {
  it('[R012] greets a service and says who it is', async () => {
    const hello = await json('hello', address, ...service);
    expect(hello).toMatchObject({
      domain: provider.domain,
      service: expect.stringMatching(/^M[A-Z2-7-]+$/),
      host: expect.stringMatching(/^M[A-Z2-7-]+$/),
      version: '3.0',
      features: expect.arrayContaining(['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry']),
    });
  });

  it('[R014] makes an account, and not the same twice', async () => {
    expect(await json('account', 'create', address, ...service)).toMatchObject({ address });
    const other = await mesh(['account', 'create', address, ...service, '--home', join(folder, 'thief')]);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/^mesh: [^\n]*409\/1[^\n]*\n$/);
  });

  it('shows the containers of a new account', async () => {
    const { containers } = await json('account', 'status');
    const found = containers.map(({ container, index }: { container: string; index: number }) => [container, index]);
    expect(Object.fromEntries(found)).toEqual({ mmm_Inbound: 1, mmm_Outbound: 1, mmm_Archive: 1, mmm_Device: 2 });
  });

  it('[R015] gives files back octet for octet, here and in an empty replica', async () => {
    const files = join(folder, 'files');
    await mkdir(files);
    const contents: Record<string, Buffer> = {
      'text.txt': Buffer.from('a note'),
      empty: Buffer.alloc(0),
      'random octets': randomBytes(100_000),
    };
    for (const [name, octets] of Object.entries(contents)) await writeFile(join(files, name), octets);
    const paths = Object.keys(contents).map((name) => join(files, name));
    const uploaded = await json('container', 'upload', 'my_Notes', ...paths);
    expect(uploaded.entries).toHaveLength(3);
    const empty = join(folder, 'empty');
    await cp(home, empty, { recursive: true });
    await rm(join(empty, 'containers'), { recursive: true });
    for (const from of [home, empty]) {
      const out = await mkdtemp(join(folder, 'out-'));
      const args = ['container', 'download', 'my_Notes', '--out', out, '--home', from, '--json'];
      const { stdout } = await mesh(args);
      expect(JSON.parse(stdout)).toMatchObject({ digest: uploaded.digest, root: uploaded.root, index: 4 });
      expect((await readdir(out)).sort()).toEqual(Object.keys(contents).sort());
      for (const [name, octets] of Object.entries(contents)) expect(await readFile(join(out, name))).toEqual(octets);
    }
  });

  it('takes standard input as a file, and a range of frames', async () => {
    const { code } = await mesh(['container', 'upload', 'my_Notes', '-', '--home', home], 'typed');
    expect(code).toBe(0);
    const { entries } = await json('container', 'download', 'my_Notes', '--min', '4', '--max', '4');
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ index: 4, event: 'New', name: 'stdin', current: true });
    expect(Buffer.from(entries[0].content, 'base64url').toString()).toBe('typed');
  });

  it('keeps what it cannot read out of the service: no name and no content in the databases', async () => {
    const { entries } = await json('container', 'download', 'my_Notes');
    for (const { uniqueId } of entries) expect(uniqueId).toMatch(/^A[A-Z2-7-]{60,}$/);
  });

  it('synchronises, and agrees with the service', async () => {
    const { containers } = await json('account', 'sync');
    const status = await json('account', 'status');
    for (const { container, index, digest } of status.containers) {
      expect(containers).toContainEqual(expect.objectContaining({ container, index, digest }));
    }
  });

  it('queues files offline, and uploads them with the next synchronisation', async () => {
    await writeFile(join(folder, 'road.txt'), 'written on the road');
    const queued = await json('container', 'upload', 'my_Notes', join(folder, 'road.txt'), '--offline');
    expect(queued).toEqual({ container: 'my_Notes', queued: ['road.txt'], waiting: 1 });
    const synced = await json('account', 'sync');
    expect(synced).toMatchObject({ waiting: 0, conflicts: [], refused: [] });
    expect(synced.uploaded).toEqual([expect.objectContaining({ container: 'my_Notes', name: 'road.txt' })]);
  });

  it('[R131] leaves bodies out where it is told to: of what was replaced, or of all', async () => {
    await mesh(['container', 'upload', 'my_Notes', '-', '--home', home], 'typed anew');
    const whole = await json('account', 'sync');
    const notesOf = (list: readonly Listed[]) => list.find(({ container }) => container === 'my_Notes');
    const { root, index = 0 } = notesOf(whole.containers) ?? {};
    const redactedCounts = { superseded: 1, 'superseded,older=2200-01-01': index - 1 };
    for (const [filter, redactedCount] of Object.entries(redactedCounts)) {
      const partial = await mkdtemp(join(folder, 'partial-'));
      await cp(home, partial, { recursive: true });
      await rm(join(partial, 'containers'), { recursive: true });
      const synced = await meshJson(partial, 'account', 'sync', '--filter', filter);
      expect(notesOf(synced.containers)?.root).toBe(root);
      const { replicas } = await meshJson(partial, 'container', 'audit');
      expect(notesOf(replicas)).toMatchObject({ isIntact: true, redactedCount });
    }
  });

  it('[S45] [S46] proves a frame, checks the proof without a service, and audits the home', async () => {
    const file = join(folder, 'proof.json');
    const proven = await json('container', 'prove', 'my_Notes', '1', '--out', file);
    expect(proven).toMatchObject({ container: 'my_Notes', index: 1 });
    const checked = await mesh(['container', 'check-proof', file, '--service', proven.service]);
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining('frame 1 of my_Notes')]);
    const other = await mesh(['container', 'check-proof', file, '--service', 'MAAA-AAAA']);
    expect([other.code, other.stdout]).toEqual([1, '']);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"Index":1', '"Index":2'));
    const broken = await mesh(['container', 'check-proof', file]);
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringMatching(/^mesh: the proof does not hold[^\n]*\n$/)]);
    expect(await json('container', 'audit')).toMatchObject({ evidence: [] });
  });

  it('[S83] watches: a change on another device ends the wait', async () => {
    const copy = join(folder, 'watching');
    await json('account', 'sync');
    await cp(home, copy, { recursive: true });
    const watching = mesh(['account', 'watch', '--once', '--json', '--home', copy]);
    await expect.poll(() => waitingRequests(provider.adminUrls.shards), { timeout: 20_000 }).toBe(1);
    const { code } = await mesh(['container', 'upload', 'my_Notes', '-', '--home', home], 'watched');
    expect(code).toBe(0);
    const { stdout } = await watching;
    expect(JSON.parse(stdout).containers).toMatchObject([{ container: 'my_Notes', fetched: 1 }]);
  }, 30_000);

  it('[S83] watches until it is told to end: a line for each change', async () => {
    const copy = join(folder, 'watching on');
    await cp(home, copy, { recursive: true });
    const { stdout, stderr, ended, interrupt } = startMesh(['account', 'watch', '--home', copy]);
    const lines = () => stdout().split('\n').slice(0, -1);
    const untilWaiting = (count: number) =>
      expect.poll(() => waitingRequests(provider.adminUrls.shards), { timeout: 20_000 }).toBe(count);
    for (const [count, text] of ['watched', 'watched on'].entries()) {
      await untilWaiting(1);
      await mesh(['container', 'upload', 'my_Notes', '-', '--home', home], text);
      await expect.poll(() => lines().length, { timeout: 20_000 }).toBe(1 + count);
    }
    await untilWaiting(1);
    interrupt();
    expect(await ended).toEqual([0, null]);
    await untilWaiting(0);
    for (const line of lines()) expect(line).toMatch(/^my_Notes: 1 new, \d+ frames, verified$/);
    expect(stderr()).toBe('watching; Ctrl-C ends it\n');
  }, 60_000);

  it('says in one line what is wrong', async () => {
    const taken = join(folder, 'taken');
    await writeFile(taken, '');
    const onFile = await mesh(['container', 'download', 'my_Notes', '--out', taken, '--home', home]);
    expect([onFile.code, onFile.stderr]).toEqual([
      1,
      expect.stringMatching(/^mesh: cannot make the folder [^\n]*taken: it exists already[^\n]*\n$/),
    ]);
    const unknown = await mesh(['container', 'download', 'my_Nothing', '--home', home]);
    expect([unknown.code, unknown.stdout]).toEqual([1, '']);
    expect(unknown.stderr).toMatch(/^mesh: [^\n]*my_Nothing[^\n]*\n$/);
    const device = await mesh(['container', 'upload', 'mmm_Device', '-', '--home', home], 'x');
    expect(device.code).toBe(1);
    const elsewhere = ['account', 'create', 'alice@elsewhere.example', ...service, '--home', join(folder, 'elsewhere')];
    expect((await mesh(elsewhere)).code).toBe(1);
  });

  it('deletes the account, here and there', async () => {
    const copy = join(folder, 'copy');
    await cp(home, copy, { recursive: true });
    expect(await json('account', 'delete')).toEqual({ address, deleted: true });
    expect((await mesh(['account', 'status', '--home', home])).stderr).toContain('no account');
    const gone = await mesh(['account', 'status', '--home', copy]);
    expect([gone.code, gone.stderr.includes('401')]).toEqual([1, true]);
    // Whoever deletes it a second time has what he wanted.
    const again = await mesh(['account', 'delete', '--home', copy, '--json']);
    expect(JSON.parse(again.stdout)).toEqual({ address, deleted: false });
  });
});
