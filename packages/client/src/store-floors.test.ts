import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { ContainerHead } from '@meshd/schema/connections';
import { beforeEach, describe, expect, it } from 'vitest';
import { forgetAccount } from './account-state.js';
import { withDevice } from './device.js';
import { loadEvidence } from './evidence.js';
import { accountAt, copyHome, type FakeService, signingService } from './fake-service.fixture.js';
import { Home } from './home.js';
import { downloadContainer } from './operations/download.js';
import { verifiedStores } from './operations/stores.js';
import { syncAccount } from './operations/sync.js';
import { uploadFiles } from './operations/upload.js';
import { ContainerReader } from './reader.js';
import { adoptStores, floorsOf, loadFloors, raisedFloors, storesOf } from './store-floors.js';

const container = 'my_Notes';
const content = new TextEncoder().encode('text');
const octets = (fill: number) => new Uint8Array(32).fill(fill);

let service: FakeService;
/** The administrator's home, and one that has its keys and nothing else: a device that was just connected. */
let administrator: string;
let fresh: string;
let stores: ContainerHead[];

const at = () => service.environment();
const upload = (folder: string, name: string) =>
  withDevice(folder, at(), (device) => uploadFiles(device, container, [{ name, content }]));
const sync = (folder: string) => withDevice(folder, at(), (device) => syncAccount(device));
const download = (folder: string, legacy = false) =>
  withDevice(folder, at(), (device) => {
    if (legacy) device.allowLegacy();
    return downloadContainer(device, container);
  });

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const { code = 'none', message = '' } = await work.then(
    () => ({}),
    (error) => error,
  );
  return { code, message };
}

beforeEach(async () => {
  service = await signingService();
  administrator = await accountAt(service);
  const blank = await copyHome(administrator);
  await rm(join(blank, 'containers'), { recursive: true });
  await rm(join(blank, 'heads.dare'), { force: true });
  for (const name of ['a', 'b', 'c']) await upload(administrator, name);
  await sync(administrator);
  stores = await withDevice(administrator, at(), verifiedStores);
  fresh = blank;
});

/** A history of the same container that the same account could have written. */
async function anotherHistory(names: readonly string[]): Promise<void> {
  const honest = service;
  service = await signingService();
  Object.assign(service, { host: honest.host, accountUdf: honest.accountUdf });
  for (const [name, frames] of honest.containers) if (name !== container) service.containers.set(name, [...frames]);
  const other = await copyHome(fresh);
  await rm(join(other, 'floors.json'), { force: true });
  for (const name of names) await upload(other, name);
  honest.containers.set(container, service.containers.get(container) ?? []);
  service = honest;
}

describe('[S47] Stores of an activation', () => {
  it('name every container that the administrator has verified, in one order', () => {
    expect(stores.map(({ Container }) => Container)).toEqual(
      ['mmm_Archive', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound', container].sort(),
    );
    expect(stores.find(({ Container }) => Container === container)).toMatchObject({ Index: 4 });
    const heads = [...floorsOf(stores)];
    expect(storesOf(heads.toReversed())).toEqual(stores);
  });

  it('are refused where they are not whole: half a floor is none', () => {
    const [one] = stores as [ContainerHead, ...ContainerHead[]];
    const broken: ContainerHead[][] = [
      [{ ...one, Container: '../x' }],
      [{ ...one, Container: undefined }],
      [one, one],
      [{ ...one, Log: undefined }],
      [{ ...one, Log: octets(1).subarray(1) }],
      [{ ...one, Root: undefined }],
      [{ ...one, Root: new Uint8Array(64) }],
      [{ ...one, Index: 0 }],
      [{ ...one, Index: -1 }],
      [{ ...one, Index: 1.5 }],
      Array.from({ length: 300 }, (_, number) => ({ ...one, Container: `my_${number}` })),
    ];
    for (const each of broken) expect(() => floorsOf(each)).toThrow(/activation of this device is refused/);
  });

  it('of an older activation lower nothing, and those of another history are refused', () => {
    const log = octets(1);
    const floors = (size: number, root: number, of = log) =>
      floorsOf([{ Container: container, Log: of, Index: size, Root: octets(root) }]);
    expect(raisedFloors(floors(4, 4), floors(2, 2))).toEqual(floors(4, 4));
    expect(raisedFloors(floors(2, 2), floors(4, 4))).toEqual(floors(4, 4));
    expect(() => raisedFloors(floors(4, 4), floors(4, 5))).toThrow(/administrator of this device/);
    expect(() => raisedFloors(floors(4, 4), floors(5, 5, octets(2)))).toThrow(/administrator of this device/);
  });

  it('outlast the process, and go with the account', async () => {
    await adoptStores(new Home(fresh), stores);
    expect(storesOf(await loadFloors(new Home(fresh)))).toEqual(stores);
    await adoptStores(new Home(fresh), []);
    expect((await loadFloors(new Home(fresh))).size).toBe(stores.length);
    await forgetAccount(new Home(fresh));
    expect((await loadFloors(new Home(fresh))).size).toBe(0);
  });
});

describe('[S47] a new device that was told what the administrator saw', () => {
  beforeEach(() => adoptStores(new Home(fresh), stores));

  it('takes what leads through it, and what came since', async () => {
    await upload(administrator, 'd');
    const synced = await sync(fresh);
    expect(synced.find((each) => each.container === container)).toMatchObject({ frameCount: 5, fetchedCount: 5 });
    expect((await download(fresh)).entries.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
    await upload(fresh, 'e');
  });

  it('refuses a container that is shorter, and keeps it as evidence', async () => {
    service.containers.set(container, (service.containers.get(container) ?? []).slice(0, -1));
    expect(await refusal(sync(fresh))).toEqual({
      code: 'rollback',
      message: expect.stringMatching(/3 frames of my_Notes and the administrator of this device has verified 4/),
    });
    expect(await loadEvidence(new Home(fresh))).toMatchObject([{ kind: 'rollback', container }]);
    expect((await refusal(download(fresh))).code).toBe('rollback');
  });

  it('refuses a container that is shorter where no heads are signed', async () => {
    service.features.delete('heads-1');
    service.givesHeads = false;
    // Status tells the truth, Download does not.
    const whole = service.containers.get(container) ?? [];
    service.beforeCall = async (transaction) => {
      service.containers.set(container, transaction === 'Download' ? whole.slice(0, 2) : whole);
    };
    expect((await refusal(download(fresh))).code).toBe('rollback');
  });

  it('refuses a service that hides the container', async () => {
    service.containers.delete(container);
    expect(await refusal(sync(fresh))).toEqual({ code: 'rollback', message: expect.stringMatching(/no longer shows/) });
  });

  for (const [what, names] of [
    ['as long', ['x', 'y', 'z']],
    ['longer', ['x', 'y', 'z', 'w']],
  ] as const) {
    it(`refuses another history that is ${what}, whose frame 0 it does not know`, async () => {
      await anotherHistory(names);
      expect(await refusal(sync(fresh))).toEqual({
        code: 'fork',
        message: expect.stringMatching(/administrator of this device has verified/),
      });
      expect((await refusal(download(fresh))).code).toMatch(/fork|evidence/);
    });
  }

  it('refuses another history with the same beginning where only the frames tell', async () => {
    service.features.delete('heads-1');
    service.givesHeads = false;
    const whole = service.containers.get(container) ?? [];
    const other = await copyHome(fresh);
    await rm(join(other, 'floors.json'));
    service.containers.set(container, whole.slice(0, 2));
    for (const name of ['x', 'y', 'z']) await upload(other, name);
    expect((await refusal(sync(fresh))).code).toBe('fork');
    expect((await refusal(download(fresh))).code).toBe('fork');
  });

  it('[S49] never reads a named container without manifests, with the option neither', async () => {
    const bare = (service.containers.get(container) ?? []).map((frame) => {
      const { header, payload, payloadDigest } = openEnvelope(frame);
      return makeEnvelope({ header, payload, trailer: { PayloadDigest: payloadDigest } });
    });
    service.containers.set(container, bare);
    service.features.delete('heads-1');
    service.givesHeads = false;
    expect(await refusal(download(fresh, true))).toMatchObject({
      code: 'legacy',
      message: expect.not.stringMatching(/--legacy/),
    });
  });
});

describe('[S43] frames below what the administrator saw', () => {
  const nobody = () => undefined;

  function reader(floor: boolean): ContainerReader {
    const head = floorsOf(stores).get(container);
    return new ContainerReader({ container, accountUdf: service.accountUdf, floor: floor ? head : undefined });
  }

  it('need no entitled signer, so that keys retired since do no harm', async () => {
    const frames = service.containers.get(container) ?? [];
    const below = reader(true);
    expect(await below.take(frames, nobody)).toHaveLength(4);
    await expect(reader(false).take(frames, nobody)).rejects.toMatchObject({ code: 'frame' });
  });

  it('need one from there on', async () => {
    await upload(administrator, 'd');
    await expect(reader(true).take(service.containers.get(container) ?? [], nobody)).rejects.toMatchObject({
      code: 'frame',
    });
  });

  it('must lead through it, whoever signed them', async () => {
    await anotherHistory(['x', 'y', 'z']);
    const other = service.containers.get(container) ?? [];
    await expect(reader(true).take(other, nobody)).rejects.toMatchObject({ code: 'fork' });
  });
});
