import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openEnvelope } from '@meshd/dare/envelope';
import { beforeAll, describe, expect, it } from 'vitest';
import { withDevice } from '../device.js';
import { accountAt, copyHome, digestOver, FakeService, temporaryHome } from '../fake-service.fixture.js';
import { accountStatus } from './account-status.js';
import { createAccount } from './create-account.js';
import { deleteAccount } from './delete-account.js';
import { type DownloadResult, downloadContainer } from './download.js';
import { syncAccount } from './sync.js';
import { type UploadResult, uploadFiles } from './upload.js';

const container = 'my_Notes';
const octets = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content);

function upload(service: FakeService, folder: string, files: Record<string, string>): Promise<UploadResult> {
  const list = Object.entries(files).map(([name, content]) => ({ name, content: octets(content) }));
  return withDevice(folder, service.environment(), (device) => uploadFiles(device, container, list));
}

function download(service: FakeService, folder: string): Promise<DownloadResult> {
  return withDevice(folder, service.environment(), (device) => downloadContainer(device, container));
}

/** What is current, by name. */
async function contents(service: FakeService, folder: string): Promise<Record<string, string | undefined>> {
  const { entries } = await download(service, folder);
  return Object.fromEntries(entries.filter(({ current }) => current).map(({ name, content }) => [name, text(content)]));
}

describe('an account and its containers', () => {
  let service: FakeService;
  let home: string;
  beforeAll(async () => {
    service = new FakeService();
    home = await accountAt(service);
  });

  it('opens the device catalog in its first upload', () => {
    const frames = (service.containers.get('mmm_Device') ?? []).map((frame) => openEnvelope(frame));
    expect(frames).toHaveLength(2);
    expect(frames.map(({ signatures }) => signatures.map(({ alg }) => alg))).toEqual([['S512-MAN1'], ['S512-MAN1']]);
    expect(frames[1]?.contentMetaData?.Event).toBe('New');
  });

  it('keeps secrets readable by the owner alone', async () => {
    const { mode } = await stat(join(home, 'keys.json'));
    expect(mode & 0o777).toBe(0o600);
  });

  it('refuses a second account in the same home', async () => {
    const again = createAccount(home, service.environment(), {
      address: 'bob@example.com',
      url: 'https://example.com',
    });
    await expect(again).rejects.toMatchObject({ code: 'usage' });
  });

  it('[S60] [S63] stores nothing readable: neither content, nor name, nor the exact length', async () => {
    await upload(service, home, { 'secret-name.txt': 'a secret' });
    const frame = service.containers.get(container)?.at(-1);
    const all = [frame?.header, frame?.payload, frame?.trailer].map((part) =>
      Buffer.from(part ?? []).toString('latin1'),
    );
    expect(all.join()).not.toContain('secret');
    const meta = openEnvelope(frame as never).contentMetaData;
    expect(JSON.stringify(meta)).not.toContain('secret');
    // Ciphertext of padded JSON and the 16 octets of the tag.
    expect(((frame?.payload?.length ?? 0) - 16) % 256).toBe(0);
  });

  it('gives an empty replica the same content, digest and root, page by page', async () => {
    const { digest, root } = await upload(service, home, { a: 'one', b: 'two', c: '' });
    const empty = await copyHome(home);
    await rm(join(empty, 'containers'), { recursive: true });
    service.pageFrames = 2;
    const result = await download(service, empty);
    service.pageFrames = 1000;
    expect(result.digest).toEqual(digest);
    expect(result.digest).toEqual(digestOver(service.containers.get(container) ?? []));
    expect(result.root).toEqual(root);
    expect(await contents(service, empty)).toMatchObject({ a: 'one', b: 'two', c: '' });
  });

  it('files a file of the same name as an Update that links to the earlier frames', async () => {
    const first = await upload(service, home, { twice: 'old' });
    await upload(service, home, { twice: 'new' });
    const meta = openEnvelope(service.containers.get(container)?.at(-1) as never).contentMetaData;
    const index = first.entries[0]?.frameIndex;
    expect(meta).toMatchObject({ Event: 'Update', First: index, Previous: index });
    expect(await contents(service, home)).toMatchObject({ twice: 'new' });
  });

  it('rebuilds and signs a batch again when another replica was faster', async () => {
    const other = await copyHome(home);
    let overtaken = false;
    service.beforeUpload = async () => {
      if (overtaken) return;
      overtaken = true;
      await upload(service, other, { fast: 'other', both: 'other' });
    };
    await upload(service, home, { slow: 'mine', both: 'mine' });
    service.beforeUpload = async () => undefined;
    expect(await contents(service, other)).toMatchObject({ fast: 'other', slow: 'mine', both: 'mine' });
  });

  it('keeps every entry of a spool, whatever its name', async () => {
    const environment = service.environment();
    const file = { name: 'same', content: octets('archived') };
    for (const _ of [1, 2]) await withDevice(home, environment, (device) => uploadFiles(device, 'mmm_Archive', [file]));
    const { entries } = await withDevice(home, environment, (device) => downloadContainer(device, 'mmm_Archive'));
    expect(entries.map(({ name, current }) => [name, current])).toEqual([
      ['same', true],
      ['same', true],
    ]);
  });

  it('fetches only containers that differ', async () => {
    await withDevice(home, service.environment(), (device) => syncAccount(device));
    service.calls.length = 0;
    await withDevice(home, service.environment(), (device) => syncAccount(device));
    expect(service.calls).toEqual(['Status']);
  });

  it('shows what the service has beside what is here', async () => {
    const states = await withDevice(home, service.environment(), accountStatus);
    const state = states.find((each) => each.container === container);
    expect(state?.localFrameCount).toBe(state?.frameCount);
    expect(state?.digest).toEqual(digestOver(service.containers.get(container) ?? []));
  });

  it('refuses containers that are not for files, and names that are none', async () => {
    for (const name of ['mmm_Device', 'mmm_Inbound', 'mmm_Unheard', '../../etc', 'noprefix']) {
      const attempt = withDevice(home, service.environment(), (device) => uploadFiles(device, name, []));
      await expect(attempt, name).rejects.toMatchObject({ code: 'usage' });
    }
  });
});

describe('a creation that was interrupted', () => {
  it('goes on with the same keys', async () => {
    const service = new FakeService();
    const folder = await temporaryHome();
    const options = { address: 'alice@example.com', url: 'https://example.com' };
    service.beforeUpload = () => Promise.reject(new Error('the lights went out'));
    await expect(createAccount(folder, service.environment(), options)).rejects.toThrow('lights');
    const keys = await readFile(join(folder, 'keys.json'));
    service.beforeUpload = async () => undefined;
    const { state } = await createAccount(folder, service.environment(), options);
    expect(state.stage).toBe('ready');
    expect(await readFile(join(folder, 'keys.json'))).toEqual(keys);
    expect(service.calls.filter((call) => call === 'CreateAccount')).toHaveLength(1);
  });
});

describe('deleting', () => {
  it('leaves nothing of the account in the home', async () => {
    const service = new FakeService();
    const folder = await accountAt(service);
    expect(await withDevice(folder, service.environment(), deleteAccount)).toBe(true);
    await expect(stat(join(folder, 'keys.json'))).rejects.toThrow();
    await expect(stat(join(folder, 'containers'))).rejects.toThrow();
  });
});
