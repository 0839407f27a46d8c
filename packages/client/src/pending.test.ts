import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BindingError } from '@meshd/binding/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Choice, conflictName } from './conflicts.js';
import { withDevice } from './device.js';
import { accountAt, copyHome, FakeService, fakeNowMs } from './fake-service.fixture.js';
import { Home } from './home.js';
import { downloadContainer } from './operations/download.js';
import { syncAccount, synchronise } from './operations/sync.js';
import { queueFiles, uploadFiles } from './operations/upload.js';
import { enqueue, loadPending } from './pending.js';

const container = 'my_Notes';
const hourMs = 3_600_000;

let service: FakeService;
let home: string;
/** Another device. */
let other: string;

const octets = (text: string) => new TextEncoder().encode(text);
const filesOf = (files: Record<string, string>) =>
  Object.entries(files).map(([name, text]) => ({ name, content: octets(text) }));

function upload(folder: string, files: Record<string, string>, nowMs = fakeNowMs) {
  return withDevice(folder, service.environment(nowMs), (device) => uploadFiles(device, container, filesOf(files)));
}

function queue(folder: string, files: Record<string, string>, nowMs = fakeNowMs) {
  return withDevice(folder, service.environment(nowMs), (device) => queueFiles(device, container, filesOf(files)));
}

function sync(folder: string, choice: Choice = 'later') {
  return withDevice(folder, service.environment(), (device) => synchronise(device, { decide: async () => choice }));
}

async function contents(folder: string): Promise<Record<string, string>> {
  const { entries } = await withDevice(folder, service.environment(), (device) => downloadContainer(device, container));
  const current = entries.filter((entry) => entry.current && entry.content !== undefined);
  return Object.fromEntries(current.map(({ name = '', content }) => [name, new TextDecoder().decode(content)]));
}

/** Another device's deletion, or this one's: there is no command for it yet. */
async function queueDelete(folder: string, name: string): Promise<void> {
  await withDevice(folder, service.environment(), async (device) => {
    await syncAccount(device, [container]);
    const { entries } = await downloadContainer(device, container, { complete: false });
    const found = entries.find((entry) => entry.name === name && entry.current);
    const entry = {
      name,
      uniqueId: found?.uniqueId ?? '',
      body: undefined,
      base: found?.frameIndex,
      modifiedMs: fakeNowMs,
    };
    await enqueue(device.session.home, container, [entry]);
  });
}

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
  await upload(home, { a: 'first', b: 'first' });
  other = await copyHome(home);
});

describe('offline work', () => {
  it('waits on disk, encrypted, and nothing is sent', async () => {
    service.calls.length = 0;
    expect(await queue(home, { c: 'secret words' })).toBe(1);
    expect(service.calls).toEqual([]);
    const [batch] = await loadPending(new Home(home));
    expect(batch?.entries.map(({ name }) => name)).toEqual(['c']);
    expect(Buffer.from(batch?.entries[0]?.body?.payload ?? []).toString('latin1')).not.toContain('secret words');
  });

  it('is uploaded after everything of the others was fetched', async () => {
    await queue(home, { c: 'mine' });
    await upload(other, { d: 'theirs' });
    const { flushed, containers } = await sync(home);
    expect(flushed.placed.map(({ name, frameIndex }) => [name, frameIndex])).toEqual([['c', 4]]);
    expect(containers.find((each) => each.container === container)?.frameCount).toBe(5);
    expect(await loadPending(new Home(home))).toEqual([]);
    expect(await contents(other)).toEqual({ a: 'first', b: 'first', c: 'mine', d: 'theirs' });
  });

  it('makes a container that does not exist yet', async () => {
    const files = filesOf({ new: 'one' });
    await withDevice(home, service.environment(), (device) => queueFiles(device, 'my_Other', files));
    const { flushed } = await sync(home);
    expect(flushed.placed).toMatchObject([{ container: 'my_Other', frameIndex: 1 }]);
  });

  it('builds on itself: two changes of one file are two updates and no conflict', async () => {
    await queue(home, { a: 'second' });
    await queue(home, { a: 'third' });
    const { flushed } = await sync(home);
    expect(flushed.conflicts).toEqual([]);
    expect(flushed.placed).toHaveLength(2);
    expect(await contents(other)).toMatchObject({ a: 'third' });
  });
});

describe('[R129] [R130] a conflict (semantics 5.1)', () => {
  it('about another key is none: the change moves on top', async () => {
    await queue(home, { a: 'mine' });
    await upload(other, { b: 'theirs' });
    const { flushed } = await sync(home);
    expect(flushed.conflicts).toEqual([]);
    expect(await contents(home)).toEqual({ a: 'mine', b: 'theirs' });
  });

  it('of two updates goes to the newest, and the other is kept beside it', async () => {
    await queue(home, { a: 'older' }, fakeNowMs - hourMs);
    await upload(other, { a: 'newer' });
    const { flushed } = await sync(home);
    const copy = conflictName('a', fakeNowMs - hourMs);
    expect(flushed.conflicts).toEqual([
      { container, name: 'a', mine: 'update', theirs: 'update', choice: 'theirs', copy },
    ]);
    expect(await contents(other)).toEqual({ a: 'newer', b: 'first', [copy]: 'older' });
  });

  it('of two updates goes to this device where its change is the newest', async () => {
    await queue(home, { a: 'newer' }, fakeNowMs + hourMs);
    await upload(other, { a: 'older' });
    const { flushed } = await sync(home);
    expect(flushed.conflicts).toMatchObject([{ choice: 'mine', copy: conflictName('a', fakeNowMs) }]);
    expect(await contents(other)).toMatchObject({ a: 'newer', [conflictName('a', fakeNowMs)]: 'older' });
  });

  it('is none where both wrote the same', async () => {
    await queue(home, { a: 'same' });
    await upload(other, { a: 'same' });
    const { flushed } = await sync(home);
    expect(flushed).toMatchObject({ conflicts: [], placed: [], waitingCount: 0 });
  });

  it('with a deletion waits until the user has been asked', async () => {
    await queue(home, { a: 'changed' });
    await queueDelete(other, 'a');
    await sync(other);
    const { flushed } = await sync(home);
    expect(flushed.conflicts).toMatchObject([{ name: 'a', mine: 'update', theirs: 'delete', choice: 'later' }]);
    expect(flushed.waitingCount).toBe(1);
    expect(await contents(home)).toEqual({ b: 'first' });
    const decided = await sync(home, 'mine');
    expect(decided.flushed).toMatchObject({ waitingCount: 0, conflicts: [{ choice: 'mine' }] });
    expect(await contents(other)).toEqual({ a: 'changed', b: 'first' });
  });

  it('with a deletion here against a change there ends as the user says', async () => {
    await queueDelete(home, 'a');
    await upload(other, { a: 'changed' });
    const { flushed } = await sync(home, 'theirs');
    expect(flushed).toMatchObject({ conflicts: [{ mine: 'delete', theirs: 'update' }], waitingCount: 0, placed: [] });
    expect(await contents(home)).toMatchObject({ a: 'changed' });
  });

  it('of two deletions is none', async () => {
    await queueDelete(home, 'a');
    await queueDelete(other, 'a');
    await sync(other);
    const { flushed } = await sync(home);
    expect(flushed).toMatchObject({ conflicts: [], waitingCount: 0 });
  });
});

describe('an upload that is interrupted', () => {
  it('before the service had it is sent again under the same ID', async () => {
    await queue(home, { c: 'once' });
    const ids: (Uint8Array | undefined)[] = [];
    service.beforeCall = async (transaction) => {
      if (transaction === 'Upload') throw new BindingError('transport', 'the line broke');
    };
    await expect(sync(home)).rejects.toMatchObject({ code: 'unavailable' });
    service.beforeCall = async () => undefined;
    const names = await readdir(join(home, 'pending'));
    expect(names.some((name) => name.endsWith('.sent.json'))).toBe(true);
    await sync(home);
    ids.push(...service.uploadIds.slice(-1));
    const sentId = ids[0];
    expect(sentId).toHaveLength(24);
    expect(await contents(home)).toMatchObject({ c: 'once' });
    expect(service.containers.get(container)).toHaveLength(4);
  });

  it('waits here, and the user is told so', async () => {
    service.beforeCall = async (transaction) => {
      if (transaction === 'Upload') throw new BindingError('transport', 'the line broke');
    };
    await expect(upload(home, { c: 'once' })).rejects.toThrow('the files wait here for: mesh account sync');
    expect(await loadPending(new Home(home))).toHaveLength(1);
  });

  it('after the service had it is not written twice', async () => {
    await queue(home, { c: 'once' });
    const connect = service.connect.bind(service);
    const environment = {
      ...service.environment(),
      connect: () => ({
        ...connect(),
        call: async (...args: Parameters<ReturnType<typeof connect>['call']>) => {
          const response = await connect().call(...args);
          if (args[0] === 'Upload') throw new BindingError('not-repeatable' as never, 'the process died');
          return response;
        },
      }),
    };
    await expect(withDevice(home, environment as never, (device) => synchronise(device))).rejects.toThrow();
    expect(service.containers.get(container)).toHaveLength(4);
    const { flushed } = await sync(home);
    expect(flushed.placed).toMatchObject([{ name: 'c', frameIndex: 3 }]);
    expect(service.containers.get(container)).toHaveLength(4);
    expect(await readdir(join(home, 'pending'))).toEqual([]);
  });

  it('is built anew when others were faster meanwhile', async () => {
    await queue(home, { c: 'once' });
    service.beforeCall = async (transaction) => {
      if (transaction === 'Upload') throw new BindingError('transport', 'the line broke');
    };
    await expect(sync(home)).rejects.toMatchObject({ code: 'unavailable' });
    service.beforeCall = async () => undefined;
    await upload(other, { d: 'faster' });
    const { flushed } = await sync(home);
    expect(flushed.placed).toMatchObject([{ name: 'c', frameIndex: 4 }]);
  });
});

describe('[R131] a partial replica', () => {
  const filter = { words: ['Superseded'] };
  const bodies = () => readdir(join(other, 'containers', `${container}.bodies`)).catch(() => []);

  it('has digests and roots without bodies, and brings them when they are read', async () => {
    await upload(home, { c: 'third', a: 'changed' });
    await withDevice(other, service.environment(), (device) => syncAccount(device, undefined, { filter }));
    const shown = await withDevice(other, service.environment(), (device) =>
      downloadContainer(device, container, { complete: false }),
    );
    expect(shown.entries.filter(({ isRedacted }) => isRedacted).map(({ frameIndex }) => frameIndex)).toEqual([3, 4]);
    expect(await bodies()).toEqual([]);
    expect(await contents(other)).toEqual({ a: 'changed', b: 'first', c: 'third' });
    expect((await bodies()).sort()).toEqual(['3.dare', '4.dare']);
    service.downloads.length = 0;
    await contents(other);
    expect(service.downloads).toEqual([]);
  });

  it('takes no other body than the one that was left out', async () => {
    await upload(home, { c: 'third', d: 'fourth' });
    await withDevice(other, service.environment(), (device) => syncAccount(device, undefined, { filter }));
    service.shown = (name, frames) =>
      name === container
        ? frames.map((frame, at) => (at === 3 ? { ...frame, payload: octets('forged') } : frame))
        : frames;
    const { reader } = await withDevice(home, service.environment(), (device) => device.replica(container));
    expect(reader.size).toBe(5);
    service.features.delete('wait');
    await expect(
      withDevice(other, service.environment(), async (device) => {
        const { completeFrames } = await import('./operations/download.js');
        await completeFrames(device, await device.replica(container), 1, 4);
      }),
    ).rejects.toMatchObject({ code: 'frame' });
  });
});

describe('[R216] a payload in slices', () => {
  it('goes on after a cut where it was, also in the next run', async () => {
    const content = Buffer.alloc(500_000, 'large ');
    await withDevice(home, service.environment(), (device) =>
      uploadFiles(device, 'my_Large', [{ name: 'l', content }]),
    );
    const offsets: number[] = [];
    let slicesLeft = 2;
    service.beforeCall = async (transaction, message) => {
      if (transaction !== 'Download') return;
      const offset = (message as { ConstraintsPost?: { BytesOffset?: number } }).ConstraintsPost?.BytesOffset;
      if (offset !== undefined) offsets.push(offset);
      if (offset === undefined && !JSON.stringify(message).includes('my_Large')) return;
      if (offset === undefined || slicesLeft === 0) throw new BindingError('transport', 'the line broke');
      slicesLeft -= 1;
    };
    await expect(withDevice(other, service.environment(), (device) => syncAccount(device))).rejects.toMatchObject({
      code: 'unavailable',
    });
    slicesLeft = 100;
    await withDevice(other, service.environment(), (device) => syncAccount(device));
    // In base64, encrypted and padded it is two thirds of a megabyte; no slice that had arrived is asked for again.
    const slice = 131_072;
    expect([...new Set(offsets)]).toEqual([0, 1, 2, 3, 4, 5].map((at) => at * slice));
    expect(offsets.filter((offset) => offset === slice)).toHaveLength(1);
    service.beforeCall = async () => undefined;
    const { entries } = await withDevice(other, service.environment(), (device) =>
      downloadContainer(device, 'my_Large'),
    );
    expect(Buffer.compare(entries[0]?.content ?? new Uint8Array(0), content)).toBe(0);
  });
});

describe('page keys', () => {
  it('are followed, and given up where they have ended', async () => {
    await upload(home, Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`n${at}`, 'x'])));
    service.pageFrames = 5;
    await withDevice(other, service.environment(), (device) => syncAccount(device));
    expect(service.downloads.some(({ Select }) => Select?.some(({ PageKey }) => PageKey !== undefined))).toBe(true);
    expect(Object.keys(await contents(other))).toHaveLength(14);
  });

  it('are asked with while the page before is verified and stored: the line does not wait for the device', async () => {
    await upload(home, Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`n${at}`, 'x'])));
    service.pageFrames = 5;
    const order: string[] = [];
    service.beforeCall = async (transaction, message) => {
      if (transaction === 'Download' && JSON.stringify(message).includes(container)) order.push('asked');
    };
    const progress = (what: string) => {
      if (what === container) order.push('stored');
    };
    await withDevice(other, { ...service.environment(), progress }, (device) => syncAccount(device));
    expect(order).toEqual(['asked', 'asked', 'stored', 'asked', 'stored', 'stored']);
  });
});
