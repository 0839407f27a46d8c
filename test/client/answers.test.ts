/** What a client believes of a service's answers, judged against a service that lies. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveAccount, saveCa, saveIdentity } from '@meshd/client/account-state';
import { makeDeviceKeys, saveDeviceKeys } from '@meshd/client/device-keys';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { ClientError } from '@meshd/client/errors';
import { Home } from '@meshd/client/home';
import { makeIdentity as makeDeviceIdentity } from '@meshd/client/identity';
import { helloService } from '@meshd/client/operations/hello';
import { requireSuccess, Session } from '@meshd/client/session';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { readKeyFile } from '@meshd/crypto/key-file';
import { systemRandom } from '@meshd/crypto/random';
import { signEnvelope } from '@meshd/dare/sign';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, domain, helloAnswer, makeIdentity, type RawAnswer, ScriptedService } from './scripted-service.js';

const hourMs = 3600_000;
const weekMs = 7 * 24 * hourMs;

let service: ScriptedService;
let home: string;
/** Pauses that the client took, milliseconds. */
let pauses: number[];
let environment: ClientEnvironment;

beforeEach(async () => {
  service = await ScriptedService.start();
  home = await mkdtemp(join(tmpdir(), 'mesh-home-'));
  pauses = [];
  environment = {
    ...systemEnvironment(),
    pause: async (durationMs) => {
      pauses.push(durationMs);
    },
  };
});
afterEach(() => service.stop());

const hello = (forgetPin = false) =>
  helloService(home, environment, { domain, url: service.url, ca: service.ca, forgetPin });

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ClientError ? error.code : `no refusal: ${error}`;
}

/** A device with an account at the service. */
async function session(folder = home): Promise<Session> {
  const keys = makeDeviceKeys(systemRandom);
  const address = `alice@${domain}`;
  const identity = makeDeviceIdentity(keys, address, Date.now(), 'test');
  const { meshUdf, deviceUdf, accountUdf } = identity;
  const state = { version: 1, address, url: service.url, stage: 'ready', meshUdf, deviceUdf, accountUdf } as const;
  const place = new Home(folder);
  await saveDeviceKeys(place, keys);
  await saveIdentity(place, identity);
  await saveCa(place, service.ca);
  await saveAccount(place, state);
  return Session.open(place, environment, state);
}

/** From now on, requests other than Hello are answered so. */
function answerWith(make: (request: Parameters<typeof service.respond>[0]) => Promise<RawAnswer>): void {
  service.respond = (request) => (request.base.transaction === 'Hello' ? service.honestly(request) : make(request));
}

describe('[S22] an answer counts only for the request it was made for', () => {
  it('and not for the same payload under another signature', async () => {
    const [alice, mallory] = [await session(), await session(await mkdtemp(join(tmpdir(), 'mesh-home-')))];
    let kept: Uint8Array | undefined;
    answerWith(async (request) => {
      kept ??= await answer(service.identity, request, 'StatusResponse', {});
      return { httpStatus: 201, body: kept };
    });
    expect((await alice.call('Status', {})).succeeded).toBe(true);
    expect(await codeOf(mallory.call('Status', {}))).toBe('unavailable');
  });

  it('a stale answer to Hello is refused', async () => {
    let kept: RawAnswer | undefined;
    service.respond = async (request) => {
      kept ??= await service.honestly(request);
      return kept;
    };
    await hello();
    expect(await codeOf(hello())).toBe('unavailable');
  });

  it('an unsigned redirect is neither followed nor believed', async () => {
    const device = await session();
    let elsewhere = 0;
    answerWith(async () => {
      elsewhere += 1;
      const body = Buffer.from('{"MeshResponse":{"Status":307,"StatusDescription":"https://evil.example"}}');
      return { httpStatus: 307, headers: { location: `${service.url}/elsewhere` }, body };
    });
    expect(await codeOf(device.call('Status', {}))).toBe('unavailable');
    // Attempts at the same place, and at no other.
    expect(elsewhere).toBe(5);
  });

  it('an unsigned error can make a client wait, but not for long', async () => {
    const device = await session();
    answerWith(async () => ({ httpStatus: 503, headers: { 'retry-after': '86400' }, body: Buffer.from('busy') }));
    expect(await codeOf(device.call('Status', {}))).toBe('unavailable');
    expect(Math.max(...pauses)).toBeLessThanOrEqual(60_000);
  });

  it('an answer with another ID is refused', async () => {
    const device = await session();
    answerWith(async (request) => ({
      httpStatus: 201,
      body: await answer(service.identity, request, 'StatusResponse', { ID: new Uint8Array(24) }),
    }));
    expect(await codeOf(device.call('Status', {}))).toBe('unavailable');
  });

  it('an answer without Status is refused', async () => {
    const device = await session();
    answerWith(async (request) => ({
      httpStatus: 201,
      body: await answer(service.identity, request, 'StatusResponse', { Status: undefined }),
    }));
    expect(await codeOf(device.call('Status', {}))).toBe('unavailable');
  });
});

describe('statuses and classes of answers', () => {
  it('[R106] the Status in the payload decides, whatever HTTP says', async () => {
    const device = await session();
    answerWith(async (request) => ({
      httpStatus: 500,
      body: await answer(service.identity, request, 'StatusResponse', { Status: 201 }),
    }));
    expect((await device.call('Status', {})).succeeded).toBe(true);
    answerWith(async (request) => ({
      httpStatus: 200,
      body: await answer(service.identity, request, 'StatusResponse', { Status: 403, StatusExtended: 19 }),
    }));
    const refused = await device.call('Status', {});
    expect([refused.succeeded, refused.status]).toEqual([false, 403]);
    expect(() => requireSuccess('Status', refused)).toThrow(/403\/19/);
  });

  it('[R311] ancestors of the response class are accepted, others are not', async () => {
    const device = await session();
    answerWith(async (request) => ({
      httpStatus: 403,
      body: await answer(service.identity, request, 'MeshResponse', { Status: 403 }),
    }));
    expect((await device.call('Status', {})).status).toBe(403);
    answerWith(async (request) => ({
      httpStatus: 201,
      body: await answer(service.identity, request, 'UploadResponse', {}),
    }));
    expect(await codeOf(device.call('Status', {}))).toBe('unavailable');
  });
});

describe('[S23] Hello', () => {
  it('is sent in an envelope, with ID and Service, without signatures', async () => {
    await hello();
    const [request] = service.requests;
    expect(request?.naked).toBe(false);
    expect(request?.entries).toEqual([]);
    expect(request?.base).toMatchObject({ transaction: 'Hello', service: domain });
    expect(request?.base.id).toHaveLength(24);
  });

  it('without auth-1 stops the client with an error of that name', async () => {
    service.respond = async (request) => ({
      httpStatus: 201,
      body: await helloAnswer(service.identity, request, { features: ['host-1'] }),
    });
    const refused = hello();
    expect(await codeOf(refused)).toBe('downgrade');
    await expect(refused).rejects.toThrow('auth-1');
  });

  it('that lacks a feature seen before stops the client', async () => {
    await hello();
    service.respond = async (request) => ({
      httpStatus: 201,
      body: await helloAnswer(service.identity, request, { features: ['auth-1', 'host-1', 'manifest-1', 'entry'] }),
    });
    const refused = hello();
    expect(await codeOf(refused)).toBe('downgrade');
    await expect(refused).rejects.toThrow('gcm-1');
  });

  it('that comes bare is not believed', async () => {
    const body = Buffer.from('{"MeshHelloResponse":{"Status":201,"Version":{"Major":3,"Minor":0}}}');
    service.respond = async () => ({ httpStatus: 201, body });
    expect(await codeOf(hello())).toBe('unavailable');
  });
});

describe('[S26] the service and its hosts', () => {
  const folder = (name: string) => join(service.folder, name);

  it('a connection of the host that has expired is refused', async () => {
    service.identity = await makeIdentity(folder('old'), { nowMs: Date.now() - weekMs - hourMs });
    expect(await codeOf(hello())).toBe('pin');
  });

  it('a connection for another domain is refused', async () => {
    service.identity = await makeIdentity(folder('other'), { domains: ['good.example'] });
    expect(await codeOf(hello())).toBe('pin');
  });

  it('a host of another service is refused', async () => {
    const stranger = await makeIdentity(folder('stranger'));
    service.respond = async (request) => ({
      httpStatus: 201,
      body: await helloAnswer(stranger, request, { profileService: service.identity.profileService }),
    });
    expect(await codeOf(hello())).toBe('pin');
  });

  it('a new service is refused after the first use, until the user says so', async () => {
    expect((await hello()).firstUse).toBe(true);
    expect((await hello()).firstUse).toBe(false);
    service.identity = await makeIdentity(folder('new'));
    expect(await codeOf(hello())).toBe('pin');
    expect((await hello(true)).firstUse).toBe(true);
    await hello();
  });

  it('a new service that the old one has signed is accepted', async () => {
    await hello();
    const keyOf = async (name: string) =>
      signingKeyFromSeed(readKeyFile(await readFile(join(folder(name), 'service-key.json'))).seed);
    const next = await makeIdentity(folder('next'));
    const payload = next.profileService.payload ?? new Uint8Array(0);
    const profileService = signEnvelope({ payload, keys: [await keyOf('next'), await keyOf('service')] });
    service.respond = async (request) => ({
      httpStatus: 201,
      body: await helloAnswer(next, request, { profileService }),
    });
    await hello();
    await hello();
  });

  it('every other answer is judged under the pin as well', async () => {
    const device = await session();
    expect((await device.call('Status', {})).succeeded).toBe(true);
    const stranger = await makeIdentity(folder('stranger'));
    answerWith(async (request) => ({
      httpStatus: 201,
      body: await answer(stranger, request, 'StatusResponse', {}),
    }));
    expect(await codeOf(device.call('Status', {}))).toBe('pin');
  });
});
