/** An account as a folder of files, and back into another account. Services in memory. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEnvelope } from '@meshd/dare/envelope';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { credentialKind } from '../catalog/kinds.js';
import { type Device, withDevice } from '../device.js';
import { accountAt, copyHome, digestOver, FakeService } from '../fake-service.fixture.js';
import { catalogItems, putItem } from './catalog-items.js';
import { downloadContainer } from './download.js';
import { exportAccount } from './export-account.js';
import { checkCopy, importAccount } from './import-account.js';
import { rotateAccountKey } from './rotate.js';
import { uploadFiles } from './upload.js';

let made: { service: FakeService; home: string; other: FakeService; otherHome: string };
let [service, other] = [new FakeService(), new FakeService()];
let [home, otherHome, folder] = ['', '', ''];

const from = <T>(work: (device: Device) => Promise<T>) => withDevice(home, service.environment(), work);
const into = <T>(work: (device: Device) => Promise<T>) => withDevice(otherHome, other.environment(), work);
const file = (name: string, text: string) => [{ name, content: new TextEncoder().encode(text) }];
const note = (name: string, text: string) => (device: Device) => uploadFiles(device, 'my_Notes', file(name, text));
const copyIt = () => from((device) => exportAccount(device, folder));
const bring = (exportKey: string, replace = false) =>
  into((device) => importAccount(device, { folder, exportKey, replace }));

async function notes(device: Device): Promise<Record<string, string>> {
  const { entries } = await downloadContainer(device, 'my_Notes');
  const current = entries.filter((entry) => entry.current && entry.content !== undefined);
  return Object.fromEntries(current.map(({ name = '', content }) => [name, new TextDecoder().decode(content)]));
}

beforeAll(async () => {
  made = { service, home: await accountAt(service), other, otherHome: await accountAt(other) };
  home = made.home;
  await from(note('a', 'first'));
  await from((device) => rotateAccountKey(device));
  await from(note('a', 'changed'));
  await from(note('b', 'second'));
  await from((device) =>
    putItem(device, credentialKind, { Protocol: '', Service: 'shop', Username: 'alice', Password: 'x' }),
  );
});

beforeEach(async () => {
  [service, other] = [made.service.copy(), made.other.copy()];
  [home, otherHome] = [await copyHome(made.home), await copyHome(made.otherHome)];
  folder = join(await mkdtemp(join(tmpdir(), 'mesh-copy-')), 'alice');
});

describe('an exported account', () => {
  it('[R116] is every catalog and spool, frame by frame, with the digests that the service states', async () => {
    const { containers, key } = await copyIt();
    expect(containers.map(({ container }) => container)).toEqual([...service.containers.keys()].sort());
    for (const { container, digest, frameCount } of containers) {
      const frames = service.containers.get(container) ?? [];
      expect([frameCount, Buffer.from(digest)]).toEqual([frames.length, Buffer.from(digestOver(frames) ?? [])]);
      const name = `${container}.dare`;
      expect(await readFile(join(folder, name))).toEqual(await readFile(join(home, 'containers', name)));
    }
    expect((await checkCopy(folder, key)).list.address).toBe('alice@example.com');
  });

  it('holds nothing readable and no key without the export key', async () => {
    const { key } = await copyIt();
    const all = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'latin1')));
    for (const secret of ['changed', 'shop', key]) expect(all.join()).not.toContain(secret);
    const again = await copyIt();
    await expect(checkCopy(folder, key)).rejects.toMatchObject({ code: 'entry' });
    await checkCopy(folder, again.key);
    await expect(checkCopy(folder, 'NAAA-AAAA-AAAA')).rejects.toThrow(/export key/);
  });

  it('is written as far as it differs, and is none before its list is there', async () => {
    const { containers } = await copyIt();
    await from(note('c', 'third'));
    const again = await copyIt();
    expect(again.unchangedCount).toBe(containers.length - 1);
    await rm(join(folder, 'account.json'));
    await expect(checkCopy(folder, again.key)).rejects.toThrow(/no finished copy/);
    await writeFile(join(folder, 'my_Notes.dare'), 'half of a');
    const mended = await copyIt();
    expect(mended.unchangedCount).toBe(containers.length - 1);
    await checkCopy(folder, mended.key);
    await expect(into((device) => exportAccount(device, folder))).rejects.toThrow(/a copy of alice@example.com/);
  });

  it('that was changed, cut or mixed is refused, and nothing is imported', async () => {
    const { key } = await copyIt();
    const path = join(folder, 'my_Notes.dare');
    const whole = await readFile(path);
    const uploads = other.uploadIds.length;
    const damaged = [
      whole.subarray(0, whole.length - 1),
      whole.subarray(0, Math.floor(whole.length / 2)),
      Buffer.from(whole).fill(0x7a, whole.length - 900, whole.length - 890),
      await readFile(join(folder, 'mmm_Credential.dare')),
      undefined,
    ];
    for (const octets of damaged) {
      await (octets === undefined ? rm(path) : writeFile(path, octets));
      await expect(bring(key)).rejects.toMatchObject({ code: 'frame' });
    }
    await writeFile(path, whole);
    // A list that goes with a shorter file: what the device had verified says otherwise.
    const list = JSON.parse(await readFile(join(folder, 'account.json'), 'utf8'));
    list.containers = list.containers.map((each: { container: string; frames: number }) =>
      each.container === 'my_Notes' ? { ...each, frames: each.frames - 1 } : each,
    );
    await writeFile(join(folder, 'account.json'), JSON.stringify(list));
    await expect(bring(key)).rejects.toMatchObject({ code: 'frame' });
    expect(other.uploadIds).toHaveLength(uploads);
  });
});

describe('an import into another account', () => {
  it('[S62] [S63] brings what is there now, under the keys and names of that account', async () => {
    const { key } = await copyIt();
    const { containers, leftOut } = await bring(key);
    expect(containers).toContainEqual({ container: 'my_Notes', addedCount: 2, sameCount: 0, keptCount: 0 });
    expect(leftOut).toEqual(expect.arrayContaining(['mmm_Device', 'mmm_Inbound']));
    expect(await into(notes)).toEqual({ a: 'changed', b: 'second' });
    const [password] = await into((device) => catalogItems(device, credentialKind));
    expect(password?.fields).toMatchObject({ Service: 'shop', Password: 'x' });
    const names = (of: FakeService) =>
      (of.containers.get('my_Notes') ?? []).map((octets) => openEnvelope(octets).contentMetaData?.UniqueID);
    expect(names(other).filter((name) => names(service).includes(name))).toEqual([]);
  });

  it('done again it finds all the same, and changes nothing that is here unless told to', async () => {
    const { key } = await copyIt();
    await into(note('a', 'my own'));
    expect((await bring(key)).containers).toContainEqual({
      ...{ container: 'my_Notes', addedCount: 1, sameCount: 0, keptCount: 1 },
    });
    expect(await into(notes)).toEqual({ a: 'my own', b: 'second' });
    expect((await bring(key, true)).containers).toContainEqual({
      ...{ container: 'my_Notes', addedCount: 1, sameCount: 1, keptCount: 0 },
    });
    expect(await into(notes)).toEqual({ a: 'changed', b: 'second' });
    const { containers } = await bring(key);
    expect(containers.map(({ addedCount, keptCount }) => addedCount + keptCount)).toEqual(containers.map(() => 0));
  });

  it('goes on where it was interrupted', async () => {
    const { key } = await copyIt();
    let uploads = 0;
    other.beforeUpload = async () => {
      uploads += 1;
      if (uploads === 2) throw new Error('the lights went out');
    };
    await expect(bring(key)).rejects.toThrow('lights');
    other.beforeUpload = async () => undefined;
    await bring(key);
    expect(await into(notes)).toEqual({ a: 'changed', b: 'second' });
    const frames = other.containers.get('my_Notes')?.length;
    await bring(key);
    expect(other.containers.get('my_Notes')).toHaveLength(frames ?? 0);
  });
});
