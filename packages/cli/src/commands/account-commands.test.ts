/** `mesh account escrow|recover|import` and `mesh device grant`, as far as they need no service. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { accountAt, FakeService } from '@meshd/client/fake-service.fixture';
import { exportAccount } from '@meshd/client/operations/export-account';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerAccountCommands } from './account.js';
import { registerDeviceCommands } from './device.js';
import { runCommands } from './run-commands.fixture.js';
import { toldText } from './tell-contacts.js';

const service = new FakeService();
let home: string;
let copy: { folder: string; key: string };

beforeAll(async () => {
  home = await accountAt(service);
  const folder = await mkdtemp(join(tmpdir(), 'mesh-copy-'));
  const { key } = await withDevice(home, service.environment(), (device) => exportAccount(device, folder));
  copy = { folder, key };
});

const mesh = (...args: string[]) =>
  runCommands({ register: [registerAccountCommands, registerDeviceCommands], home }, args);

describe('mesh account escrow and recover', () => {
  it('show shares with what to do with them, take the seed out, and bring it back', async () => {
    const { result, text } = await mesh('account', 'escrow', '--shares', '3', '--quorum', '2', '--remove-master');
    expect(result).toMatchObject({ address: 'alice@example.com', quorum: 2, masterRemoved: true });
    expect(result.shares).toHaveLength(3);
    for (const share of result.shares) expect(text).toContain(share);
    expect(text).toMatch(/Any 2 of them are all of alice@example\.com/);
    expect(text).toMatch(/mesh account recover SHARE… --account alice@example\.com/);
    await expect(mesh('account', 'escrow', '--shares', '3', '--quorum', '2')).rejects.toThrow(/master seed/);
    const back = await mesh('account', 'recover', result.shares[2], result.shares[0]);
    expect(back.result).toMatchObject({ address: 'alice@example.com', what: 'master', otherDevices: [] });
    expect((await mesh('account', 'escrow', '--shares', '2', '--quorum', '2')).result.shares).toHaveLength(2);
  });

  it('refuse numbers and shares that are none', async () => {
    await expect(mesh('account', 'escrow', '--shares', 'many', '--quorum', '2')).rejects.toThrow(/takes a number/);
    await expect(mesh('account', 'escrow', '--shares', '2')).rejects.toThrow(/--quorum/);
    await expect(mesh('account', 'escrow', '--shares', '2', '--quorum', '3')).rejects.toThrow(/number of shares/);
    await expect(mesh('account', 'recover', 'SAAA')).rejects.toThrow(/share/);
    await expect(mesh('account', 'recover', 'NAAA-AAAA')).rejects.toThrow(/no share/);
  });
});

describe('mesh account import --check', () => {
  it('says that a copy is whole, and what its key looks like', async () => {
    const { result, text } = await mesh('account', 'import', copy.folder, '--key', copy.key, '--check');
    expect(result.copy).toMatchObject({ address: 'alice@example.com' });
    expect(text).toMatch(/is whole: \d+ frames in \d+ containers/);
    await expect(mesh('account', 'import', copy.folder, '--check')).rejects.toThrow(/--key/);
    await expect(mesh('account', 'import', tmpdir(), '--key', copy.key, '--check')).rejects.toThrow(/no finished copy/);
  });
});

describe('mesh device grant', () => {
  it('wants to know what is granted', async () => {
    await expect(mesh('device', 'grant', 'MAAA')).rejects.toThrow(/--administrator/);
  });
});

describe('after a change of the account’s key', () => {
  it('it is said how many contacts were told, and what to do where some were not', () => {
    expect(toldText({ count: 0, reason: undefined })).toEqual([]);
    expect(toldText({ count: 2, reason: undefined })).toEqual(['contacts that are told of the new key: 2']);
    expect(toldText({ count: 1, reason: 'no connection' })[1]).toMatch(/no connection.*mesh contact tell/);
  });
});
