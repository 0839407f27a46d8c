/**
 * Two devices edit without a connection and meet again (semantics 5.1): the client's own queue, replay and merge, over a service
 * in memory. Edits, times and orders are random, by a seed that is printed where one fails. Against a real service three
 * replicas meet in `test/client`.
 */
import { rm } from 'node:fs/promises';
import { credentialKind } from '@meshd/client/catalog/kinds';
import type { Choice, Decide } from '@meshd/client/conflicts';
import { type Device, withDevice } from '@meshd/client/device';
import { accountAt, copyHome, FakeService, fakeNowMs } from '@meshd/client/fake-service.fixture';
import { catalogItems, deleteItem, putItem } from '@meshd/client/operations/catalog-items';
import { downloadContainer } from '@meshd/client/operations/download';
import { synchronise } from '@meshd/client/operations/sync';
import { queueFiles, uploadFiles } from '@meshd/client/operations/upload';
import { array, assert, asyncProperty, boolean, constantFrom, integer, record, shuffledSubarray } from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

const container = 'my_Notes';
const keys = ['a.txt', 'b.txt', 'c.txt'] as const;
type Key = (typeof keys)[number];
const runs = 8;

let service: FakeService;
let home: string;

beforeAll(async () => {
  service = new FakeService();
  home = await accountAt(service);
  const files = keys.map((name) => ({ name, content: Buffer.from('the beginning') }));
  await withDevice(home, service.environment(), (device) => uploadFiles(device, container, files));
  for (const Service of keys) {
    await withDevice(home, service.environment(), (device) =>
      putItem(device, credentialKind, { Service, Password: '0' }),
    );
  }
});

/** A service and two devices as they were before anybody edited. */
async function beginning(): Promise<{ service: FakeService; homes: [string, string] }> {
  return { service: service.copy(), homes: [await copyHome(home), await copyHome(home)] };
}

/** Of a change and a deletion the change stays: whoever is asked last answers the same. */
const keepChanges: Decide = async ({ mine }): Promise<Choice> => (mine === 'update' ? 'mine' : 'theirs');

async function catalogs(device: Device): Promise<Record<string, string>> {
  const { entries } = await downloadContainer(device, container);
  const current = entries.filter((entry) => entry.current && entry.content !== undefined);
  const files = current.map(({ name = '', content }) => [name, Buffer.from(content ?? []).toString('utf8')]);
  const items = await catalogItems(device, credentialKind);
  return Object.fromEntries([...files, ...items.map(({ key, fields }) => [key, fields.Password ?? ''])].sort());
}

interface Edit {
  readonly device: 0 | 1;
  readonly key: Key;
  readonly kind: 'file' | 'password' | 'deletion';
}

/** Makes the edits, a second after the other, and lets the devices meet in this order; then both once more. */
async function meet(edits: readonly Edit[], order: readonly (0 | 1)[]): Promise<[object, object]> {
  const { service: here, homes } = await beginning();
  const on = <T>(device: 0 | 1, work: (opened: Device) => Promise<T>, seconds = edits.length + 1) =>
    withDevice(homes[device], here.environment(fakeNowMs + seconds * 1000), work);
  for (const [at, { device, key, kind }] of edits.entries()) {
    await on(device, (opened) => edit(opened, key, kind, `${device} wrote this at ${at}`), at + 1);
  }
  for (const device of [...order, 0, 1, 0] as const)
    await on(device, (opened) => synchronise(opened, { decide: keepChanges }));
  const found: [object, object] = [await on(0, catalogs), await on(1, catalogs)];
  for (const folder of homes) await rm(folder, { recursive: true });
  return found;
}

async function edit(device: Device, key: Key, kind: Edit['kind'], text: string): Promise<void> {
  const offline = { offline: true } as const;
  if (kind === 'file') await queueFiles(device, container, [{ name: key, content: Buffer.from(text) }]);
  if (kind === 'password') await putItem(device, credentialKind, { Service: key, Password: text }, offline);
  if (kind === 'deletion') await deleteItem(device, credentialKind, `:${key}`, offline).catch(() => undefined);
}

const device = constantFrom(0 as const, 1 as const);
const anyEdit = record({
  device,
  key: constantFrom(...keys),
  kind: constantFrom('file', 'password', 'deletion' as const),
});

describe('[R307] devices that edit offline and meet again', () => {
  it('have the same catalogs, whatever they did and in whatever order they come', async () => {
    const scene = record({
      edits: array(anyEdit, { minLength: 1, maxLength: 8 }),
      order: array(device, { minLength: 1, maxLength: 4 }),
    });
    await assert(
      asyncProperty(scene, async ({ edits, order }) => {
        const [one, other] = await meet(edits as Edit[], order);
        expect(one).toEqual(other);
      }),
      { numRuns: runs },
    );
  });

  it('end alike in either order, where each has changed an item once: the newest stays, and no file is lost', async () => {
    const changes = shuffledSubarray(
      keys.flatMap((key) => ([0, 1] as const).map((by) => ({ device: by, key }))),
      { minLength: 1 },
    );
    const scene = record({ changes, isFile: boolean(), first: integer({ min: 0, max: 1 }) });
    await assert(
      asyncProperty(scene, async ({ changes: made, isFile, first }) => {
        const edits = made.map(
          ({ device: by, key }): Edit => ({ device: by, key, kind: isFile ? 'file' : 'password' }),
        );
        const order: (0 | 1)[] = first === 0 ? [0, 1] : [1, 0];
        const [found] = await meet(edits, order);
        expect(found).toEqual((await meet(edits, order.reverse() as (0 | 1)[]))[0]);
        const newest = new Map(
          edits.map(({ device: by, key }, at) => [isFile ? key : `:${key}`, `${by} wrote this at ${at}`]),
        );
        expect(found).toMatchObject(Object.fromEntries(newest));
        const texts = edits.map(({ device: by }, at) => `${by} wrote this at ${at}`);
        if (isFile) expect(Object.values(found)).toEqual(expect.arrayContaining(texts));
      }),
      { numRuns: runs / 2 },
    );
  });
});
