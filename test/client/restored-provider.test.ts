/** A provider whose database was restored from an older backup, seen by the people who type commands (S47). */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '@meshd/dev/ports';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backUp, restore } from '../shard/database-backup.js';
import { mesh, meshJson } from './mesh-program.js';

const testMs = 120_000;
const notes = 'my_Notes';
let folder: string;
let removePlan: () => Promise<void>;
let processes: ProviderProcesses;
/** Has written everything. */
let home: string;
/** Has seen what was there when the backup was made, and nothing since. */
let older: string;
/** Has seen nothing. */
let empty: string;

const databaseUrl = () => processes.plan.shards[0]?.postgresUrl ?? '';
/** Does something to the shard's database while the shard does not run; routers and clients notice nothing else. */
async function withoutShard(work: () => Promise<void>): Promise<void> {
  const name = processes.plan.shards[0]?.name ?? '';
  await processes.stopOne(name);
  await work();
  await processes.startOne(name);
}

async function upload(container: string, text: string): Promise<void> {
  const { code, stderr } = await mesh(['container', 'upload', container, '-', '--home', home], text);
  expect([code, stderr]).toEqual([0, '']);
}

const countsAt = async (at: string): Promise<Record<string, number>> => {
  const { containers } = await meshJson(at, 'account', 'status');
  return Object.fromEntries(
    containers.map(({ container, index }: { container: string; index: number }) => [container, index]),
  );
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-restored-'));
  [home, older, empty] = [join(folder, 'home'), join(folder, 'older'), join(folder, 'empty')];
  const { plan, remove } = await makeTestPlan({ shardCount: 1 });
  removePlan = remove;
  const [port = 0] = await freePorts(1);
  processes = new ProviderProcesses({ ...plan, port }, join(folder, 'logs'));
  await processes.start();
  const service = ['--url', processes.url, '--ca', plan.certificates.caFile];
  await meshJson(home, 'account', 'create', `alice@${plan.domains[0]}`, ...service);
  await upload(notes, 'kept');
  await meshJson(home, 'account', 'sync');
  await cp(home, older, { recursive: true });
  await cp(home, empty, { recursive: true });
  await rm(join(empty, 'containers'), { recursive: true });
  await rm(join(empty, 'heads.dare'));
  await withoutShard(() => backUp(databaseUrl()));
  // Two batches in one container, and a container that the backup does not know.
  await upload(notes, 'lost');
  await upload(notes, 'lost too');
  await upload('my_Other', 'lost with its container');
  await meshJson(home, 'account', 'sync');
  await withoutShard(() => restore(databaseUrl()));
}, testMs);
afterAll(async () => {
  await processes?.stop();
  await removePlan?.();
  await rm(folder, { recursive: true, force: true });
}, testMs);

describe('[S47] a provider that was restored from an older backup', { timeout: testMs }, () => {
  it('has less, and says so to whoever has not seen more', async () => {
    const counts = await countsAt(older);
    expect(counts).toMatchObject({ [notes]: 2 });
    expect(counts).not.toHaveProperty('my_Other');
  });

  it('is not believed by the device that has seen more: looking is refused', async () => {
    const looked = await mesh(['account', 'status', '--home', home]);
    expect([looked.code, looked.stdout]).toEqual([1, '']);
    expect(looked.stderr).toMatch(/^mesh: [^\n]*this device has verified[^\n]*\n$/);
  });

  it('gets back, by one synchronisation, all that the device has', async () => {
    const { containers } = await meshJson(home, 'account', 'sync');
    expect(containers).toContainEqual(expect.objectContaining({ container: notes, index: 4 }));
    expect(containers).toContainEqual(expect.objectContaining({ container: 'my_Other', index: 2 }));
    expect(await countsAt(older)).toMatchObject({ [notes]: 4, my_Other: 2 });
  });

  it('is on record: the audit shows what was put back, and nothing that stops writing', async () => {
    const { evidence, replicas } = await meshJson(home, 'container', 'audit');
    const healed = evidence.filter(({ kind }: { kind: string }) => kind === 'healed');
    expect(healed).toHaveLength(2);
    expect(healed).toContainEqual(
      expect.objectContaining({ container: notes, message: expect.stringMatching(/had 2 frames .* this device 4/) }),
    );
    for (const replica of replicas) expect(replica).toMatchObject({ isIntact: true, signedHead: 'same' });
    const { stdout } = await mesh(['container', 'audit', '--home', home]);
    expect(stdout).toMatch(/the missing ones were put back/);
  });

  it('goes on with the same history: others read what was lost, and everybody writes', async () => {
    for (const at of [older, empty]) {
      const out = await mkdtemp(join(folder, 'out-'));
      await meshJson(at, 'container', 'download', notes, '--out', out);
      const [name = ''] = await readdir(out);
      expect(await readFile(join(out, name), 'utf8')).toBe('lost too');
    }
    const written = await mesh(['container', 'upload', notes, '-', '--home', older], 'after');
    expect([written.code, written.stderr]).toEqual([0, '']);
    const { containers } = await meshJson(home, 'account', 'sync');
    expect(containers).toContainEqual(expect.objectContaining({ container: notes, index: 5, fetched: 1 }));
  });
});
