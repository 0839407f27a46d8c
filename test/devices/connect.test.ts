/** A laptop connects a phone by PIN, a tablet by code, and shuts one out; all by the command line, over the wire. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { deviceEntries } from '@meshd/client/device-entries';
import { systemEnvironment } from '@meshd/client/environment';
import { connectionFor } from '@meshd/client/session';
import { decryptEnvelope } from '@meshd/dare/decrypt';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh, meshJson } from '../client/mesh-program.js';

let provider: TestProvider;
let folder: string;
let address: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-devices-'));
  provider = await startTestProvider();
  address = `alice@${provider.domain}`;
  await run('laptop', 'account', 'create', address, '--url', provider.url, '--ca', provider.caFile);
  await writeFile(join(folder, 'notes.txt'), 'the safe is behind the picture');
  await run('laptop', 'container', 'upload', 'my_Notes', join(folder, 'notes.txt'));
});

afterAll(async () => {
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A command on one of the devices. @throws Error with what it said */
const run = (device: string, ...args: readonly string[]) => meshJson(join(folder, device), ...args);

const fails = (device: string, ...args: readonly string[]) =>
  run(device, ...args).then(
    () => 'done',
    (error) => (error as Error).message,
  );

const request = (device: string, ...more: readonly string[]) => {
  const where = ['--url', provider.url, '--ca', provider.caFile, '--name', device];
  return run(device, 'device', 'request', address, ...where, ...more);
};

async function notesOf(device: string): Promise<string> {
  const out = join(folder, `${device}-out`);
  await run(device, 'container', 'download', 'my_Notes', '--out', out);
  return readFile(join(out, 'notes.txt'), 'utf8');
}

describe('a device is connected', () => {
  it('[R139] [R151] [R152] [S54] by a PIN, without further questions', async () => {
    const { pin } = await run('laptop', 'device', 'pin');
    const asked = await request('phone', '--pin', pin);
    expect(asked).toMatchObject({ address, mode: 'pin' });
    expect(await run('phone', 'device', 'complete')).toMatchObject({ stage: 'waiting' });
    const { pending } = await run('laptop', 'device', 'pending');
    expect(pending).toMatchObject([{ device: asked.device, description: 'phone', pin: true, stage: 'asked' }]);
    expect(await run('laptop', 'device', 'accept', pending[0].id)).toMatchObject({ device: asked.device, by: 'pin' });
    expect(await run('phone', 'device', 'complete')).toEqual({ stage: 'connected', address });
    expect(await notesOf('phone')).toBe('the safe is behind the picture');
  });

  it('[S25] whom the command names, and nobody else who proves a PIN meanwhile', async () => {
    for (const device of ['clock', 'printer']) {
      const { pin } = await run('laptop', 'device', 'pin');
      await request(device, '--pin', pin);
    }
    const stages = async (): Promise<{ id: string; description: string; stage: string }[]> =>
      (await run('laptop', 'device', 'pending')).pending;
    const [clock, printer] = (await stages()).sort((one, other) => (one.description < other.description ? -1 : 1));
    await run('laptop', 'device', 'accept', clock?.id ?? '');
    expect(await stages()).toMatchObject([{ description: 'printer', stage: 'asked' }]);
    await run('laptop', 'device', 'reject', printer?.id ?? '');
  });

  it('[R140] [R142] [R150] [S53] by a code that is typed at both ends', async () => {
    const asked = await request('tablet');
    const { pending } = await run('laptop', 'device', 'pending');
    const { id } = pending[0];
    await run('laptop', 'device', 'accept', id);
    const shown = await run('tablet', 'device', 'complete');
    expect(shown.code).toMatch(/^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
    expect(await fails('laptop', 'device', 'accept', id, '--code', 'AAAA-AAAA')).toMatch(/not the code/);
    const { confirm, device } = await run('laptop', 'device', 'accept', id, '--code', shown.code);
    expect(device).toBe(asked.device);
    // The entry is there; without the second half nothing of it is used.
    expect(await run('tablet', 'device', 'complete')).toMatchObject({ stage: 'code' });
    expect(await fails('tablet', 'account', 'status')).toMatch(/no account/);
    expect(await fails('tablet', 'device', 'confirm', 'AAAA-AAAA')).toMatch(/look again/);
    expect(await run('tablet', 'device', 'confirm', confirm)).toEqual({ stage: 'connected', address });
    expect(await notesOf('tablet')).toBe('the safe is behind the picture');
  });

  it('[R306] [S53] an old one by its witness, all seven groups of it typed at both ends, and both are told that it is weaker', async () => {
    const asked = await request('radio', '--witness');
    expect(asked.mode).toBe('witness');
    const { pending } = await run('laptop', 'device', 'pending');
    expect(pending).toMatchObject([{ device: asked.device, weaker: true, pin: false }]);
    const { id } = pending[0];
    const told = await mesh(['device', 'complete', '--home', join(folder, 'radio')]);
    expect(told.stdout).toMatch(/weaker way/);
    const [witness = ''] = /\b[A-Z2-7]{4}(-[A-Z2-7]{4}){6}\b/.exec(told.stdout) ?? [];
    const opened = await mesh(['device', 'accept', id, '--home', join(folder, 'laptop')]);
    expect(opened.stdout).toMatch(/weaker way/);
    expect(await fails('laptop', 'device', 'accept', id, '--code', witness.slice(0, 9))).toMatch(/all seven groups/);
    const accepted = await run('laptop', 'device', 'accept', id, '--code', witness);
    expect(accepted).toEqual({ device: asked.device, by: 'witness', weaker: true, confirm: witness });
    // The entry is there; before the witness was typed here too nothing of it is used.
    expect(await run('radio', 'device', 'complete')).toMatchObject({ stage: 'witness', witness });
    expect(await run('radio', 'device', 'confirm', accepted.confirm)).toEqual({ stage: 'connected', address });
    expect(await notesOf('radio')).toBe('the safe is behind the picture');
  });

  it('[R148] writes as itself, and the others read it', async () => {
    await writeFile(join(folder, 'list.txt'), 'milk');
    await run('phone', 'container', 'upload', 'my_Notes', join(folder, 'list.txt'));
    const { containers } = await run('laptop', 'account', 'sync');
    expect(containers).toContainEqual(expect.objectContaining({ container: 'my_Notes' }));
    const { devices } = await run('laptop', 'device', 'list');
    expect(devices.map(({ description }: { description: string }) => description)).toContain('phone');
    expect(devices.filter(({ administrator }: { administrator: boolean }) => administrator)).toHaveLength(1);
  });

  it('[R149] [S13] [S52] [S55] cannot be played by who made it: its base keys read nothing and act as nobody', async () => {
    const environment = systemEnvironment();
    await withDevice(join(folder, 'phone'), environment, async (device) => {
      const { keys, identity, home } = device.session;
      const base = keys.key('deviceAuthentication');
      const connection = connectionFor(home, environment, {
        ...{ domain: provider.domain, url: provider.url, ca: await readFile(provider.caFile, 'utf8') },
      });
      const asked = { ServiceID: address, DeviceUDF: identity.deviceUdf };
      const told = await connection.call('Complete', asked, [{ key: base, profile: identity.profileDevice }]);
      expect([told.status, told.statusExtended, told.message.EnvelopedCatalogEntryDevice]).toEqual([403, 5, undefined]);
      for (const key of [base, keys.key('deviceOffline')]) {
        const posing = { key, connection: identity.connectionAccount };
        expect((await connection.call('Status', { Account: address }, [posing])).status).toBe(401);
      }
      await connection.close();
      // Nor does what lies in the catalog open to them, should it leak.
      const entry = (await deviceEntries(device)).find(({ deviceUdf }) => deviceUdf === identity.deviceUdf)?.entry;
      for (const sealed of [entry?.EnvelopedActivationDevice, entry?.Accounts?.[0]?.EnvelopedActivationAccount]) {
        const activation = openEnvelope(sealed as EnvelopeOctets);
        const decrypt = () => decryptEnvelope(activation, keys.decryption('deviceEncryption'), 'manifest');
        expect(decrypt).toThrow(/not encrypted to this key/);
      }
    });
  });

  it('keeps passwords in step with the others, also what was changed without a connection', async () => {
    const add = ['password', 'add', 'shop.example', '--user', 'alice', '--password'];
    expect(await run('laptop', ...add, 'first')).toEqual({ key: ':shop.example', waiting: false });
    expect(await run('phone', 'password', 'get', ':shop.example')).toMatchObject({ Password: 'first' });
    expect(await run('phone', ...add, 'second', '--offline')).toEqual({ key: ':shop.example', waiting: true });
    expect(await run('laptop', 'password', 'get', ':shop')).toMatchObject({ Password: 'first' });
    await run('phone', 'account', 'sync');
    expect(await run('laptop', 'password', 'get', ':shop')).toMatchObject({ Password: 'second', waiting: false });
    expect((await run('laptop', 'password', 'search', 'ALICE shop')).entries).toHaveLength(1);
    // Secrets are neither searched nor listed.
    expect(await run('laptop', 'password', 'search', 'second')).toEqual({ entries: [] });
    expect(JSON.stringify(await run('laptop', 'password', 'list'))).not.toContain('second');
    await run('laptop', 'password', 'delete', ':shop.example');
    expect(await run('phone', 'password', 'list')).toEqual({ entries: [] });
  });

  it('[S54] a PIN is good once', async () => {
    const { pin } = await run('laptop', 'device', 'pin');
    await request('bulb', '--pin', pin);
    await run('laptop', 'device', 'accept', (await run('laptop', 'device', 'pending')).pending[0].id);
    const thief = await request('thief', '--pin', pin);
    const answer = await run('laptop', 'device', 'accept', thief.device.slice(0, 9));
    expect(answer).toMatchObject({ stage: 'challenged' });
    await run('laptop', 'device', 'reject', thief.device);
    expect(await fails('thief', 'device', 'complete')).toMatch(/rejected/);
  });

  it('[S25] a device that does not administer lets nobody in and shuts nobody out', async () => {
    expect(await fails('phone', 'device', 'pin')).toMatch(/does not administer/);
    const { devices } = await run('phone', 'device', 'list');
    expect(await fails('phone', 'device', 'revoke', devices[0].device)).toMatch(/does not administer/);
  });

  it('a device that is shut out is refused at once, and the others go on', async () => {
    const { devices } = await run('laptop', 'device', 'list');
    const { device } = devices.find(({ description }: { description: string }) => description === 'tablet');
    await run('laptop', 'device', 'revoke', device);
    expect(await fails('tablet', 'account', 'sync')).toMatch(/revoked/i);
    expect(await notesOf('phone')).toBe('the safe is behind the picture');
    expect((await run('laptop', 'device', 'list')).devices).toHaveLength(devices.length - 1);
  });
});
