import { appendFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from './device.js';
import { accountAt, FakeService } from './fake-service.fixture.js';
import { Home } from './home.js';
import { syncAccount } from './operations/sync.js';
import { uploadFiles } from './operations/upload.js';
import { Replica } from './replica.js';

const container = 'my_Notes';
const accountUdf = async (folder: string): Promise<string> =>
  JSON.parse(await readFile(join(folder, 'account.json'), 'utf8')).accountUdf;

let service: FakeService;
let home: string;
let path: string;

async function opened(): Promise<number> {
  const replica = await Replica.open(new Home(home), container, await accountUdf(home));
  await replica.close();
  return replica.reader.size;
}

async function syncedSize(): Promise<number | undefined> {
  const synced = await withDevice(home, service.environment(), (device) => syncAccount(device, [container]));
  return synced.find((each) => each.container === container)?.frameCount;
}

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
  path = join(home, 'containers', `${container}.dare`);
  const files = ['a', 'b', 'c'].map((name) => ({ name, content: new Uint8Array(5000) }));
  await withDevice(home, service.environment(), (device) => uploadFiles(device, container, files));
});

describe('a replica', () => {
  it('opens as it was stored, readable by the owner alone', async () => {
    expect(await opened()).toBe(4);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('is fetched again when its end is torn off', async () => {
    const { size } = await stat(path);
    await truncate(path, size - 100);
    expect(await opened()).toBe(0);
    expect(await syncedSize()).toBe(4);
    expect(await opened()).toBe(4);
  });

  it('drops what was written after the last head: nothing of it was ever shown', async () => {
    const octets = await readFile(path);
    const head = JSON.parse(await readFile(join(home, 'containers', `${container}.head.json`), 'utf8'));
    await appendFile(path, octets.subarray(0, 500));
    expect(await opened()).toBe(head.size);
    expect(await syncedSize()).toBe(4);
  });

  it('is emptied and fetched again when a frame in the middle is damaged', async () => {
    const octets = await readFile(path);
    octets[Math.floor(octets.length / 2)] = (octets[Math.floor(octets.length / 2)] ?? 0) ^ 1;
    await writeFile(path, octets);
    expect(await syncedSize()).toBe(4);
    expect(await opened()).toBe(4);
  });

  it('starts anew when the file is gone, and still knows what it has verified', async () => {
    await rm(path);
    const replica = await Replica.open(new Home(home), container, await accountUdf(home));
    await replica.close();
    expect(replica.reader.size).toBe(0);
    expect(replica.trusted?.size).toBe(4);
    expect(await syncedSize()).toBe(4);
  });
});
