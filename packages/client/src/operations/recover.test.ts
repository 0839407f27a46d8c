/** Every device is lost; the shares are not (S25). */

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Device, withDevice } from '../device.js';
import { accountAt, connectedAt, copyHome, FakeService, fakeNowMs, signingService } from '../fake-service.fixture.js';
import { grantAdministration } from './administrators.js';
import { listDevices, revokeDevice } from './device-list.js';
import { downloadContainer } from './download.js';
import { removeMaster, splitMaster } from './escrow.js';
import { recoverAccount } from './recover.js';
import { rotateAccountKey } from './rotate.js';
import { uploadFiles } from './upload.js';

const address = 'alice@example.com';
const container = 'my_Notes';
const laterMs = fakeNowMs + 10_000;
let [service, made]: FakeService[] = [];
let laptop = '';
let madeLaptop = '';

const fresh = () => mkdtemp(join(tmpdir(), 'mesh-recovered-'));
const world = () => (service as FakeService).environment(laterMs);
const on = <T>(home: string, work: (device: Device) => Promise<T>) => withDevice(home, world(), work);
const write = (home: string, name: string, text: string) =>
  on(home, (device) => uploadFiles(device, container, [{ name, content: new TextEncoder().encode(text) }]));
const split = (home: string, shareCount = 3, quorum = 2) =>
  on(home, (device) => splitMaster(device, { shareCount, quorum }));

async function notes(home: string): Promise<Record<string, string>> {
  const { entries } = await on(home, (device) => downloadContainer(device, container));
  return Object.fromEntries(entries.map(({ name = '', content }) => [name, new TextDecoder().decode(content)]));
}

beforeAll(async () => {
  service = await signingService();
  service.bringsMesh = true;
  service.headsAtMs = () => laterMs;
  madeLaptop = await accountAt(service);
  await write(madeLaptop, 'before', 'old news');
  made = service;
});

beforeEach(async () => {
  service = (made as FakeService).copy();
  service.headsAtMs = () => laterMs;
  laptop = await copyHome(madeLaptop);
});

describe('[S25] recovery from shares', () => {
  it('makes a new administration device that reads everything, also what was written after the escrow', async () => {
    const [first = '', , third = ''] = await split(laptop);
    await on(laptop, (device) => rotateAccountKey(device));
    await write(laptop, 'after', 'under a newer key');
    const desk = await fresh();
    const recovered = await recoverAccount(desk, world(), { shares: [third, first], address, description: 'desk' });
    expect(recovered).toMatchObject({ what: 'device', state: { address, stage: 'ready' } });
    expect(recovered.otherDevices).toHaveLength(1);
    expect(await notes(desk)).toEqual({ before: 'old news', after: 'under a newer key' });
    // It administers: the lost one is shut out.
    await on(desk, (device) => revokeDevice(device, recovered.otherDevices[0] ?? ''));
    const left = await on(desk, listDevices);
    expect(left.map(({ isThis, isAdministrator }) => [isThis, isAdministrator])).toEqual([[true, true]]);
    await write(desk, 'again', 'at home');
    // Once more, by the same shares, after a change of keys by the new device.
    const later = await fresh();
    await recoverAccount(later, world(), { shares: [first, third], address });
    expect(await notes(later)).toMatchObject({ again: 'at home' });
  });

  it('goes on where it was interrupted, with the same keys', async () => {
    const shares = await split(laptop);
    const desk = await fresh();
    for (const transaction of ['CreateAccount', 'Upload'] as const) {
      (service as FakeService).beforeCall = async (called) => {
        if (called === transaction) throw new Error('the lights went out');
      };
      await expect(recoverAccount(desk, world(), { shares, address })).rejects.toThrow('lights');
    }
    (service as FakeService).beforeCall = async () => undefined;
    const bound = service?.bound.length;
    await expect(recoverAccount(desk, world(), { shares, address: 'bob@example.com' })).rejects.toThrow(
      /is recovering/,
    );
    const { state } = await recoverAccount(desk, world(), { shares, address });
    expect(state.stage).toBe('ready');
    expect(service?.bound).toHaveLength(bound ?? 0);
    expect((await on(desk, listDevices)).map(({ isAdministrator }) => isAdministrator)).toEqual([true, true]);
  });

  it('takes a quorum, of one splitting', async () => {
    const [one = '', two = ''] = await split(laptop);
    const [, other = ''] = await split(laptop);
    const attempt = async (...shares: string[]) =>
      recoverAccount(await fresh(), world(), { shares, address }).then(
        () => 'recovered',
        (error: Error) => error.message,
      );
    expect(await attempt(one)).toMatch(/too few shares/);
    expect(await attempt(one, one)).toMatch(/stands twice/);
    expect(await attempt(one, other)).not.toBe('recovered');
    expect(await attempt(one, two)).toBe('recovered');
    await expect(split(laptop, 17, 2)).rejects.toThrow(/number of shares/);
    await expect(split(laptop, 2, 1)).rejects.toThrow(/quorum/);
  });

  it('a device without the master seed splits nothing', async () => {
    const phone = await connectedAt(service as FakeService, laptop, { nowMs: laterMs });
    await expect(split(phone)).rejects.toThrow(/does not have the master seed/);
  });

  it('the master seed can be taken out of a device, and brought back', async () => {
    const shares = await split(laptop);
    const phone = await connectedAt(service as FakeService, laptop, { nowMs: laterMs });
    const phoneUdf = await on(phone, async ({ session }) => session.identity.deviceUdf);
    const grant = () => on(laptop, (device) => grantAdministration(device, phoneUdf));
    await on(laptop, removeMaster);
    await expect(grant()).rejects.toThrow(/needs the master seed/);
    await expect(split(laptop)).rejects.toThrow(/does not have the master seed/);
    // What is done every day goes on.
    expect((await on(laptop, (device) => rotateAccountKey(device))).deviceCount).toBe(2);
    const { what } = await recoverAccount(laptop, world(), { shares });
    expect(what).toBe('master');
    expect(await grant()).toMatchObject({ isAdministrator: true });
    const stranger = await accountAt(new FakeService());
    await expect(recoverAccount(stranger, world(), { shares })).rejects.toThrow(/no shares/);
  });
});
