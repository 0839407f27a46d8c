import { BindingError } from '@meshd/binding/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from '../device.js';
import { accountAt, copyHome, FakeService } from '../fake-service.fixture.js';
import { syncAccount } from './sync.js';
import { uploadFiles } from './upload.js';
import { type WatchOptions, watchAccount } from './watch.js';

const container = 'my_Notes';
const file = (name: string) => [{ name, content: new Uint8Array(3) }];

let service: FakeService;
let home: string;
/** Another device. */
let other: string;

const upload = (folder: string, name: string) =>
  withDevice(folder, service.environment(), (device) => uploadFiles(device, container, file(name)));

/** Watches until so many changes were told, and gives what was told, in order. */
async function watched(changesMax: number, more: Partial<WatchOptions> = {}): Promise<string[]> {
  const end = new AbortController();
  const told: string[] = [];
  await watchAccount(home, service.environment(), {
    signal: end.signal,
    onWatching: (isAgain) => told.push(isAgain ? 'again' : 'watching'),
    onLost: () => told.push('lost'),
    onChange: (changed) => {
      told.push(...changed.map(({ container: name, frameCount }) => `${name} ${frameCount}`));
      if (told.filter((line) => line.startsWith(container)).length >= changesMax) end.abort();
    },
    ...more,
  });
  return told;
}

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
  await upload(home, 'a');
  other = await copyHome(home);
  await withDevice(home, service.environment(), (device) => syncAccount(device));
});

describe('[S83] a watch', () => {
  it('tells of every change, with one Status and one Download each, and lets others use the home meanwhile', async () => {
    let round = 0;
    service.whileWaiting = async () => {
      round += 1;
      // While it waits the home is not locked.
      if (round === 1) await withDevice(home, service.environment(), (device) => syncAccount(device));
      await upload(other, `change ${round}`);
      service.calls.length = 0;
    };
    expect(await watched(2)).toEqual(['watching', `${container} 3`, `${container} 4`]);
    expect(service.calls).toEqual(['Download']);
  });

  it('goes on after the service was away', async () => {
    let faults = 7;
    service.whileWaiting = async () => {
      if (faults > 0) {
        service.beforeCall = async () => {
          faults -= 1;
          if (faults > 0) throw new BindingError('transport', 'gone');
        };
        throw new BindingError('transport', 'gone');
      }
      service.beforeCall = async () => undefined;
      await upload(other, 'later');
    };
    const told = await watched(1);
    expect(told).toEqual(['watching', 'lost', 'again', `${container} 3`]);
  });

  it('ends where something does not pass', async () => {
    service.whileWaiting = async () => {
      service.shown = (name, frames) => (name === container ? frames.slice(0, 1) : frames);
    };
    await expect(watched(1)).rejects.toMatchObject({ code: 'rollback' });
  });
});
