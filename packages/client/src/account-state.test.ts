import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@meshd/crypto/random';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AccountState,
  askedFile,
  hailingFile,
  loadIdentity,
  requireAccount,
  saveIdentity,
} from './account-state.js';
import { makeDeviceKeys } from './device-keys.js';
import { Home } from './home.js';
import { makeIdentity } from './identity.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mesh-home-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a home whose profiles', () => {
  const keys = makeDeviceKeys(systemRandom);
  const identity = makeIdentity(keys, 'alice@example.com', 0, 'test');
  const { meshUdf, deviceUdf, accountUdf } = identity;
  const state = { meshUdf, deviceUdf, accountUdf } as AccountState;

  it.each(['garbage', ''])('are damaged (%j) names the file', async (content) => {
    const home = new Home(folder);
    await saveIdentity(home, identity);
    expect((await loadIdentity(home, state)).accountUdf).toBe(accountUdf);
    const path = home.path('profiles', 'profile-account.dare');
    await writeFile(path, content);
    await expect(loadIdentity(home, state)).rejects.toMatchObject({
      code: 'state',
      message: `${path} is damaged; restore it from a backup`,
    });
  });
});

describe('a home without an account', () => {
  it('says what it waits for', async () => {
    const home = new Home(folder);
    await expect(requireAccount(home)).rejects.toThrow(/create one with: mesh account create/);
    await home.writeJson({}, askedFile);
    await expect(requireAccount(home)).rejects.toThrow(/has asked to be connected.*mesh device complete --wait/);
    // Such a device asks, too, once it was invited.
    await home.writeJson({}, hailingFile);
    await expect(requireAccount(home)).rejects.toThrow(/by its code.*mesh device poll --wait/);
  });
});

describe('a home that is a file', () => {
  it('is refused by name, to read and to write', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const refusal = { code: 'state', message: `${file} is no folder; use another --home` };
    await expect(new Home(file).readJson('account.json')).rejects.toMatchObject(refusal);
    await expect(new Home(file).exclusively(async () => undefined)).rejects.toMatchObject(refusal);
  });
});
