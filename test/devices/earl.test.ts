/**
 * A lamp without keys and display, made by a factory, connected by the code on it to the account of who bought it (semantics
 * 7.6, S56, S57): over the wire, at one provider, once more after a reset, and from one provider to another.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { parseEarl } from '@meshd/client/connect/earl';
import { type Device, withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { createAccount } from '@meshd/client/operations/create-account';
import { deleteAccount } from '@meshd/client/operations/delete-account';
import { listDevices } from '@meshd/client/operations/device-list';
import { acceptByPins } from '@meshd/client/operations/device-pins';
import { type PreconfiguredDevice, pollHailing, preconfigureDevice, resetDevice } from '@meshd/client/operations/hail';
import { acceptInvited, hasShownItself, inviteDevice } from '@meshd/client/operations/invite-device';
import { fetchPublication, withdraw } from '@meshd/client/operations/publish';
import { syncAccount } from '@meshd/client/operations/sync';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import type { TestProvider } from '@meshd/dev/test-provider';
import { verifyProfile } from '@meshd/schema/profile-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh } from '../client/mesh-program.js';
import { startTwoProviders, type TwoProviders } from '../outbound/two-providers.js';

const environment = systemEnvironment();
let two: TwoProviders;
/** Where nearly all of it happens. */
let provider: TestProvider;
let folder: string;
let lamp: PreconfiguredDevice;

const home = (name: string) => join(folder, name);
const as = <T>(name: string, work: (device: Device) => Promise<T>) => withDevice(home(name), environment, work);
const account = (name: string, { domain, url, ca }: TestProvider) =>
  createAccount(home(name), environment, { address: `${name}@${domain}`, url, ca });
const poll = (name: string, more = {}) => pollHailing(home(name), environment, more);
const make = (name: string, factory = 'factory', { ca } = provider) =>
  as(factory, (device) => preconfigureDevice(device, home(name), { description: name, hasButton: false, ca }));
const published = (identifier: string, { domain, url, ca } = provider) =>
  fetchPublication(environment, { domain, url, ca }, identifier);

/** Waits until something is so: publications and messages are carried by another process. */
async function eventually<T>(look: () => Promise<T>, isSo: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (isSo(found)) return found;
    await environment.pause(200);
  }
}
const reaches = (name: string, stage: string) =>
  eventually(
    () => poll(name),
    ({ progress }) => progress.stage === stage,
  );

beforeAll(async () => {
  two = await startTwoProviders();
  folder = two.folder;
  provider = two.alpha;
  await Promise.all([account('factory', two.alpha), account('alice', two.alpha), account('elsewhere', two.beta)]);
  lamp = await make('lamp');
});

afterAll(async () => {
  agent.destroy();
  await two?.stop();
});

const agent = new Agent({ keepAlive: true });

/** A plain GET, as any program makes one. */
function get(
  path: string,
  host = provider.domain,
): Promise<{ status: number; type: string; headers: object; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const { ca, port, domain } = provider;
    const options = { host: '127.0.0.1', port, path, ca, servername: domain, headers: { host }, agent };
    request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, type: headers['content-type'] ?? '', headers, body: Buffer.concat(parts) });
      });
    })
      .on('error', reject)
      .end();
  });
}

describe('a device without display or keys', () => {
  it('[R153] [S56] is published as ciphertext, for whoever knows the identifier', async () => {
    const octets = await eventually(
      () => published(lamp.identifier),
      (found) => found !== undefined,
    );
    expect(Buffer.from(octets as Uint8Array).toString()).not.toContain('lamp');
    const answer = await get(`/.well-known/mmm-udf/${lamp.identifier}`);
    expect([answer.status, answer.type]).toEqual([200, 'application/json']);
    expect(answer.headers).toMatchObject({ 'x-content-type-options': 'nosniff' });
    expect(answer.body).toEqual(Buffer.from(octets as Uint8Array));
    const strange = ['nothing', lamp.identifier.toLowerCase(), `${lamp.identifier}A`, '%2e%2e', 'A'.repeat(2000)];
    for (const other of strange) expect((await get(`/.well-known/mmm-udf/${other}`)).status).toBe(404);
    expect((await get(`/.well-known/mmm-udf/${lamp.identifier}`, 'elsewhere.example')).status).not.toBe(200);
  });

  it('[R139] [R143] [R144] [R153] [S54] [S56] [S57] asks by itself once its code was scanned, and shows itself', async () => {
    expect((await poll('lamp')).progress.stage).toBe('waiting');
    const invited = await as('alice', (device) => inviteDevice(device, lamp.earl));
    expect(invited).toMatchObject({ deviceUdf: lamp.deviceUdf, description: 'lamp' });
    // The offer is carried as messages are; the lamp asks as soon as it finds it, and nobody has answered yet.
    const asked = () => as('alice', (device) => acceptInvited(device, lamp.deviceUdf));
    await eventually(
      async () => [await poll('lamp'), await asked()] as const,
      ([, accepted]) => accepted,
    );
    expect(await as('alice', (device) => hasShownItself(device, lamp.deviceUdf))).toBe(false);
    const connected = await poll('lamp');
    expect(connected).toMatchObject({ progress: { stage: 'connected' }, isNew: true });
    expect(await as('alice', (device) => hasShownItself(device, lamp.deviceUdf))).toBe(false);
    await as('lamp', (device) => syncAccount(device));
    expect(await as('alice', (device) => hasShownItself(device, lamp.deviceUdf))).toBe(true);
    expect((await poll('lamp')).isNew).toBe(false);
  });

  it('[S56] takes no offer of before after a reset, and a new one at once', async () => {
    await as('alice', (device) => inviteDevice(device, lamp.earl));
    expect((await poll('lamp')).progress.stage).toBe('connected');
    expect(await resetDevice(home('lamp'))).toEqual({ earl: lamp.earl });
    // The offer by which it was connected is still there; the one made meanwhile is good.
    await eventually(
      async () => [await poll('lamp'), await as('alice', (device) => acceptInvited(device, lamp.deviceUdf))] as const,
      ([, accepted]) => accepted,
    );
    await reaches('lamp', 'connected');
    await resetDevice(home('lamp'));
    const { progress, ignored } = await poll('lamp');
    expect(progress.stage).toBe('waiting');
    expect(ignored.join()).toMatch(/has taken that offer before/);
  });

  it('[S56] is given what its administrator said with the code, whoever accepts it', async () => {
    const kettle = await make('kettle');
    await eventually(
      () => published(kettle.identifier),
      (found) => found !== undefined,
    );
    const permissions = [{ Name: 'my_Notes', Role: 'read' }];
    await as('alice', (device) => inviteDevice(device, kettle.earl, { permissions }));
    // Accepted by a command that knows nothing of it: `mesh device pin --wait` looks for all.
    await eventually(
      async () => [await poll('kettle'), await as('alice', (device) => acceptByPins(device))] as const,
      ([, judged]) => judged.some(({ outcome }) => outcome === 'accepted'),
    );
    await reaches('kettle', 'connected');
    const listed = (await as('alice', listDevices)).find(({ deviceUdf }) => deviceUdf === kettle.deviceUdf);
    expect(listed?.permissions).toEqual(permissions);
  });

  it('[S56] the PIN that follows from an offer lets in no other device', async () => {
    const [real, double] = [await make('real'), await make('double')];
    await eventually(
      () => published(real.identifier),
      (found) => found !== undefined,
    );
    await as('alice', (device) => inviteDevice(device, real.earl));
    // Somebody who has seen the code, but has not the keys that the description names.
    const stolen = JSON.parse(await readFile(join(home('double'), 'hailing.json'), 'utf8'));
    const code = JSON.parse(await readFile(join(home('real'), 'hailing.json'), 'utf8'));
    await reaches('real', 'waiting');
    const taken = await eventually(
      async () => {
        await poll('real');
        return JSON.parse(await readFile(join(home('real'), 'connecting.json'), 'utf8').catch(() => '{}'));
      },
      (found) => found.pin !== undefined,
    );
    const offer = { account: `alice@${provider.domain}`, pin: taken.pin, createdMs: Date.now() };
    const meshFingerprint = await as('alice', async ({ session }) => {
      const { offlineKey } = await verifyProfile(session.identity.profileMesh, 'ProfileMesh');
      return Buffer.from(fingerprint64('Ed448', offlineKey.raw)).toString('base64url');
    });
    await writeFile(
      join(home('double'), 'hailing.json'),
      JSON.stringify({ ...stolen, earl: code.earl, taken: { ...offer, meshFingerprint } }),
    );
    expect((await poll('double')).progress.stage).toBe('waiting');
    const judged = await as('alice', (device) => acceptByPins(device));
    expect(judged.map(({ pending, outcome }) => [pending.description, outcome]).sort()).toEqual([
      ['double', 'invalid'],
      ['real', 'accepted'],
    ]);
    expect(double.deviceUdf).not.toBe(real.deviceUdf);
  });

  it('[R143] [R154] [S57] by the command line: its code as picture and text, invited and connected, shown and warned of', async () => {
    const label = join(folder, 'label.png');
    const made = await mesh([
      'device',
      'preconfigure',
      home('clock'),
      '--name',
      'clock',
      '--qr',
      label,
      '--home',
      home('factory'),
    ]);
    const [earl = ''] = /udf:\S+/.exec(made.stdout) ?? [];
    expect(parseEarl(earl).domain).toBe(provider.domain);
    expect(made.stdout).toMatch(/[█▀▄]{20}/);
    expect(made.stdout).toMatch(/whoever has seen this code/);
    expect((await readFile(label)).subarray(1, 4).toString()).toBe('PNG');
    await eventually(
      () => published(parseEarl(earl).identifier),
      (found) => found !== undefined,
    );
    const [invited, came] = await Promise.all([
      mesh(['device', 'connect', earl, '--home', home('alice')]),
      mesh(['device', 'poll', '--wait', '--json', '--home', home('clock')]),
    ]);
    expect(JSON.parse(came.stdout)).toEqual({ stage: 'connected', address: `alice@${provider.domain}`, ignored: [] });
    expect(invited.stderr).toMatch(/clock .*is invited; whoever has seen this code/);
    expect(invited.stdout).toMatch(/its first Status has come/);
    const asked = await mesh(['device', 'reset', '--json', '--home', home('clock')]);
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringMatching(/--yes/)]);
  });

  it('[R153] [S56] hails at another provider than that of who bought it', async () => {
    const { alpha, beta } = two;
    const radio = await make('radio', 'elsewhere', beta);
    await eventually(
      () => published(radio.identifier, beta),
      (found) => found !== undefined,
    );
    await as('alice', (device) => inviteDevice(device, radio.earl, { url: beta.url, ca: beta.ca }));
    const place = { url: alpha.url, ca: alpha.ca };
    await eventually(
      async () => [await poll('radio', place), await as('alice', (device) => acceptInvited(device, radio.deviceUdf))],
      ([, accepted]) => accepted === true,
    );
    await reaches('radio', 'connected');
    await as('radio', (device) => syncAccount(device));
    expect(await as('alice', (device) => hasShownItself(device, radio.deviceUdf))).toBe(true);
  });

  it('[R153] cannot be invited by a code that was misread, or whose publication was withdrawn', async () => {
    const { key } = parseEarl(lamp.earl);
    const misread = `udf://${provider.domain}/${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
    const failure = (code: string) =>
      as('alice', (device) => inviteDevice(device, code)).catch((error) => error.message);
    expect(await failure(misread)).toMatch(/nothing is published|not the code/);
    expect(await failure('https://example.com')).toMatch(/not the code of a device/);
    await as('factory', (device) => withdraw(device, lamp.identifier));
    await eventually(
      () => published(lamp.identifier),
      (found) => found === undefined,
    );
    expect(await failure(lamp.earl)).toMatch(/nothing is published/);
    // Made again from the same folder it is the same device.
    expect(await make('lamp')).toEqual(lamp);
    await eventually(
      () => published(lamp.identifier),
      (found) => found !== undefined,
    );
  });

  it('is published no longer than its account is there', async () => {
    await as('factory', (device) => deleteAccount(device));
    await eventually(
      () => published(lamp.identifier),
      (found) => found === undefined,
    );
    expect((await poll('lamp').catch((error) => ({ progress: { stage: error.message } }))).progress.stage).toMatch(
      /40[34]/,
    );
  });
});
