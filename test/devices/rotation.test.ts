/**
 * Keys and rights of an account's devices against a real service (S25, S48, S62): one is shut out and the account's key changes,
 * another administers and shuts out the first, and shares bring back an account of which every device is gone.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialKind } from '@meshd/client/catalog/kinds';
import { type Device, withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { grantAdministration } from '@meshd/client/operations/administrators';
import { catalogItems, deleteItem, putItem } from '@meshd/client/operations/catalog-items';
import { completeConnection, requestConnection } from '@meshd/client/operations/connect-device';
import { createAccount } from '@meshd/client/operations/create-account';
import { listDevices, renameDevice, revokeDevice } from '@meshd/client/operations/device-list';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { downloadContainer } from '@meshd/client/operations/download';
import { splitMaster } from '@meshd/client/operations/escrow';
import { checkProof, proveFrame } from '@meshd/client/operations/prove';
import { recoverAccount } from '@meshd/client/operations/recover';
import { rotateAccountKey } from '@meshd/client/operations/rotate';
import { synchronise } from '@meshd/client/operations/sync';
import { uploadFiles } from '@meshd/client/operations/upload';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const environment = systemEnvironment();
const container = 'my_Notes';
let provider: TestProvider;
let folder: string;
let address: string;
let ca: string;
let shares: readonly string[];

const home = (name: string) => join(folder, name);
const on = <T>(name: string, work: (device: Device) => Promise<T>) => withDevice(home(name), environment, work);
const write = (name: string, file: string) =>
  on(name, (device) => uploadFiles(device, container, [{ name: file, content: Buffer.from(`written by ${name}`) }]));
const udfOf = async (device: Device, name: string) =>
  (await listDevices(device)).find(({ description }) => description === name)?.deviceUdf ?? '';
const revoke = (by: string, name: string) => on(by, async (device) => revokeDevice(device, await udfOf(device, name)));

async function notes(name: string): Promise<string[]> {
  const { entries } = await on(name, (device) => downloadContainer(device, container));
  return entries.flatMap(({ name: file }) => file ?? []);
}

/** Octets of the bodies in a container as the database holds them, in order; null: removed. */
async function bodyBytes(name: string): Promise<(number | null)[]> {
  const found: (number | null)[] = [];
  for (const connectionString of provider.databases.shards) {
    const client = new pg.Client({ connectionString });
    await client.connect();
    const { rows } = await client.query<{ bytes: number | null }>(
      `SELECT octet_length(payload) AS bytes FROM frame JOIN container ON id = container_id WHERE name = $1
       ORDER BY frame_index`,
      [name],
    );
    found.push(...rows.map(({ bytes }) => bytes));
    await client.end();
  }
  return found;
}

/** A device connected by PIN. */
async function connect(by: string, name: string, administrator = false): Promise<void> {
  const { pin } = await on(by, (device) => givePin(device));
  await requestConnection(home(name), environment, { address, url: provider.url, ca, pin, description: name });
  await on(by, (device) => acceptByPins(device, { administrator }));
  expect(await completeConnection(home(name), environment, ca)).toMatchObject({ stage: 'connected' });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-rotation-'));
  provider = await startTestProvider({ shard: { eraseEveryMs: 100 } });
  address = `alice@${provider.domain}`;
  ca = await readFile(provider.caFile, 'utf8');
  await createAccount(home('laptop'), environment, { address, url: provider.url, ca });
  await write('laptop', 'first');
  await connect('laptop', 'phone');
  await connect('laptop', 'tablet');
  shares = await on('laptop', (device) => splitMaster(device, { shareCount: 3, quorum: 2 }));
});

afterAll(async () => {
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('an account over the years', () => {
  it('[S48] [S62] shuts a device out and changes its key in one Upload; the others go on with the new one', async () => {
    await write('phone', 'second');
    const { deviceCount, keyUdf, without } = await revoke('laptop', 'tablet');
    expect([deviceCount, without]).toEqual([2, []]);
    await expect(on('tablet', (device) => synchronise(device))).rejects.toThrow(/revoked/i);
    await write('laptop', 'third');
    expect(await notes('phone')).toEqual(['first', 'second', 'third']);
    await write('phone', 'fourth');
    expect(await on('phone', async ({ session }) => session.keys.key('accountEncryption').publicKey.udf)).toBe(keyUdf);
    expect(await on('tablet', async ({ session }) => session.keys.epochs.length)).toBe(1);
  });

  it('[R291] [R292] has its newer profile at the service, which the next device is told of', async () => {
    await connect('laptop', 'watch');
    expect(await notes('watch')).toEqual(['first', 'second', 'third', 'fourth']);
    const key = (name: string) =>
      on(name, async ({ session }) => Buffer.from(session.identity.profileAccount.payload ?? []).toString('utf8'));
    expect(await key('watch')).toBe(await key('laptop'));
  });

  it('[S64] deletes an entry: its bodies leave the service, and every device still verifies the store, later ones too', async () => {
    const change = (name: string, Password: string) =>
      on(name, (device) => putItem(device, credentialKind, { Service: 'shop.example', Password }));
    await change('laptop', 'first secret');
    await change('phone', 'second secret');
    await change('laptop', 'other');
    const stored = () => bodyBytes('mmm_Credential');
    const before = await stored();
    expect(before.filter((bytes) => bytes !== null && bytes > 0)).toHaveLength(3);
    const shown = await on('phone', (device) => downloadContainer(device, 'mmm_Credential'));
    await on('phone', (device) => deleteItem(device, credentialKind, 'shop.example'));
    await expect.poll(stored, { timeout: 20_000 }).toEqual([before[0], null, null, null, 0]);
    for (const name of ['phone', 'laptop', 'watch']) {
      const { entries } = await on(name, (device) => downloadContainer(device, 'mmm_Credential'));
      expect(entries.filter(({ current }) => current)).toEqual([]);
      await on(name, (device) => synchronise(device));
    }
    const { file } = await on('watch', (device) => proveFrame(device, 'mmm_Credential', 1));
    expect(await checkProof(file)).toMatchObject({ frameIndex: 1, frameCount: 5 });
    expect(shown.entries).toHaveLength(3);
    await change('watch', 'a new life');
    expect((await on('laptop', (device) => catalogItems(device, credentialKind))).map(({ fields }) => fields)).toEqual([
      expect.objectContaining({ Password: 'a new life' }),
    ]);
  });

  it('[S25] makes another device an administrator, which names devices and shuts out the first', async () => {
    await on('laptop', async (device) => grantAdministration(device, await udfOf(device, 'phone')));
    await on('phone', (device) => synchronise(device));
    await on('phone', async (device) => renameDevice(device, await udfOf(device, 'watch'), 'red watch'));
    const rights = (await on('watch', listDevices)).map(({ description, isAdministrator, isThis }) => {
      return [description, isAdministrator, isThis];
    });
    expect(rights).toContainEqual(['red watch', false, true]);
    expect(rights.filter(([, isAdministrator]) => isAdministrator)).toHaveLength(2);
    const laptop = await on('laptop', async ({ session }) => session.identity.deviceUdf);
    const { device, deviceCount } = await on('phone', (opened) => revokeDevice(opened, laptop));
    expect([device.isAdministrator, deviceCount]).toEqual([true, 2]);
    await expect(on('laptop', (opened) => synchronise(opened))).rejects.toThrow(/revoked/i);
    await write('phone', 'fifth');
    expect(await notes('watch')).toContain('fifth');
  });

  it('[S25] goes on under the second administrator: devices and keys', async () => {
    await connect('phone', 'desk');
    expect(await notes('desk')).toContain('first');
    await on('phone', (device) => rotateAccountKey(device));
    await write('phone', 'sixth');
    expect(await notes('desk')).toContain('sixth');
    const further = on('phone', async (device) => grantAdministration(device, await udfOf(device, 'desk')));
    await expect(further).rejects.toThrow(/needs the master seed/);
  });

  it('[S25] comes back from shares, when every device is gone', async () => {
    const where = { address, url: provider.url, ca, description: 'new' };
    // A slip of the pen in one of them changes nothing anywhere.
    const mistyped = [
      shares[1] ?? '',
      (shares[2] ?? '').replace(/.(?=.{20}$)/, (letter) => (letter === 'A' ? 'B' : 'A')),
    ];
    const attempt = recoverAccount(home('new'), environment, { shares: mistyped, ...where });
    await expect(attempt).rejects.toThrow(/mistyped/);
    const { otherDevices } = await recoverAccount(home('new'), environment, { shares: shares.slice(1), ...where });
    expect(otherDevices).toHaveLength(3);
    expect(await notes('new')).toEqual(['first', 'second', 'third', 'fourth', 'fifth', 'sixth']);
    await revoke('new', 'phone');
    await expect(on('phone', (device) => synchronise(device))).rejects.toThrow(/revoked/i);
    await write('new', 'seventh');
    expect(await notes('desk')).toContain('seventh');
    await connect('new', 'second', true);
    expect((await on('second', listDevices)).filter(({ isAdministrator }) => isAdministrator)).toHaveLength(2);
  });
});
