/** What a device without display and keys takes for the word of its owner, and what it passes over (S56, S57). */
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BindingError } from '@meshd/binding/errors';
import type { VerifiedResponse } from '@meshd/binding/mesh-connection';
import { systemRandom } from '@meshd/crypto/random';
import { encryptionKeyUdf } from '@meshd/crypto/udf';
import { type EnvelopeOctets, makeEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { offerButtonMs, offerMs, offersPerDeviceMax } from '@meshd/limits/hailing';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseEarl } from '../connect/earl.js';
import { loadHailing, saveHailing } from '../connect/hailing-file.js';
import { makeOffer } from '../connect/offer-message.js';
import { withDevice } from '../device.js';
import { makeDeviceKeys } from '../device-keys.js';
import type { ClientEnvironment, ServiceConnection } from '../environment.js';
import { accountAt, copyHome, FakeService, fakeNowMs } from '../fake-service.fixture.js';
import { Home } from '../home.js';
import { makeIdentity } from '../identity.js';
import { pollHailing, preconfigureDevice, resetDevice } from './hail.js';

const owner = 'alice@example.org';
const keys = makeDeviceKeys(systemRandom);
const identity = makeIdentity(keys, owner, fakeNowMs, 'laptop');

let factory: FakeService;
let factoryHome: string;
let folder: string;
/** What the hailing account has for the device: one after the other, and from the first again. */
let offers: EnvelopeOctets[];
let nowMs: number;
/** Requests of the device, by transaction. */
let calls: string[];
/** What becomes of the request that the device makes on an offer. */
let onConnect: () => void;

beforeAll(async () => {
  factory = new FakeService();
  factoryHome = await accountAt(factory);
});

beforeEach(async () => {
  [offers, calls, nowMs] = [[], [], fakeNowMs];
  onConnect = () => undefined;
  folder = await make();
});

async function make(hasButton = false): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'mesh-hail-'));
  await withDevice(factoryHome, factory.environment(), (device) =>
    preconfigureDevice(device, home, { description: 'lamp', hasButton }),
  );
  return home;
}

function environment(): ClientEnvironment {
  let shown = 0;
  const call = async (transaction: string) => {
    calls.push(transaction);
    if (transaction === 'Connect') onConnect();
    // The owner's service knows nothing of the device: that it asked there is all that these tests want.
    if (transaction === 'Connect') return { status: 404, succeeded: false, message: {} };
    const offer = offers[shown % offers.length];
    shown += 1;
    if (offer === undefined) return { status: 300, succeeded: false, message: {} };
    return { status: 201, succeeded: true, message: { EnvelopedCatalogEntryDevice: offer } };
  };
  const connection = {
    call: (name: string) => call(name) as Promise<VerifiedResponse<'Complete'>>,
    close: async () => {},
  };
  const connect = () => connection as unknown as ServiceConnection;
  return { nowMs: () => nowMs, random: systemRandom, progress: () => {}, pause: async () => {}, connect };
}

/** An offer of the owner, or of who pretends to be. */
async function offer(
  more: { key?: string; madeMs?: number; change?: (members: OfferConnection) => OfferConnection } = {},
) {
  const { earl, deviceUdf } = (await loadHailing(new Home(folder))) as { earl: string; deviceUdf: string };
  const { secret } = parseEarl(more.key === undefined ? earl : `udf://example.com/${more.key}`);
  const { members } = makeOffer(
    {
      ...{ deviceUdf, account: owner, meshOfflineKey: keys.key('meshOffline').publicKey.raw },
      ...{ profileMesh: identity.profileMesh, profileAccount: identity.profileAccount },
    },
    secret,
    { nowMs: more.madeMs ?? nowMs, random: systemRandom },
  );
  const payload = encodeTagged(OfferConnection, more.change?.(members) ?? members, 'json');
  return makeEnvelope({ header: {}, payload });
}

const poll = (isPressed = false) => pollHailing(folder, environment(), { isPressed });
/** Whether the device asked where it was invited, and what it said of other offers. */
async function outcome(isPressed = false): Promise<string> {
  calls = [];
  const said = await poll(isPressed).then(
    ({ progress, ignored }) => [progress.stage, ...ignored].join(': '),
    (error) => error.message as string,
  );
  return calls.includes('Connect') ? 'asked' : said;
}

describe('a device that is made', () => {
  it.each(['publish', 'offer'])('at a service that does not say %s: nothing is made, here or there', async (word) => {
    const old = factory.copy();
    old.features.delete(word);
    const home = join(await mkdtemp(join(tmpdir(), 'mesh-hail-')), 'lamp');
    const made = withDevice(await copyHome(factoryHome), old.environment(), (device) =>
      preconfigureDevice(device, home, { description: 'lamp', hasButton: false }),
    );
    const message = expect.stringContaining(`does not connect devices by their code (${word})`);
    await expect(made).rejects.toMatchObject({ code: 'unavailable', message });
    expect([existsSync(home), old.calls]).toEqual([false, []]);
  });
});

describe('[S56] a device that hails', () => {
  it('waits while there is nothing, and asks where a good offer says', async () => {
    expect(await outcome()).toBe('waiting');
    offers = [await offer()];
    expect(await outcome()).toBe('asked');
  });

  it('passes over an offer that was made without its code, and looks at the next', async () => {
    const strange = await offer({ key: encryptionKeyUdf(systemRandom(16)) });
    offers = [strange];
    expect(await outcome()).toMatch(/^waiting: .*without the code/);
    offers = [strange, await offer()];
    expect(await outcome()).toBe('asked');
  });

  it('passes over an offer of which anything was changed', async () => {
    const others: ((members: OfferConnection) => OfferConnection)[] = [
      (members) => ({ ...members, ServiceID: 'mallet@example.org' }),
      (members) => ({ ...members, OfferNonce: systemRandom(16) }),
      (members) => ({ ...members, Created: new Date(nowMs - 5000) }),
      (members) => ({ ...members, DeviceUDF: 'MAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA' }),
      (members) => ({ ...members, Authenticator: '!' }),
      ({ Authenticator: _, ...members }) => members,
      (members) => ({ ...members, EnvelopedProfileMaster: identity.profileAccount }),
    ];
    for (const change of others) {
      offers = [await offer({ change })];
      expect(await outcome()).toMatch(/^waiting: (an|the) offer/);
    }
  });

  it('passes over an offer that is older than 7 days', async () => {
    offers = [await offer({ madeMs: nowMs - offerMs - 1000 })];
    expect(await outcome()).toMatch(/^waiting: .*7 days/);
    offers = [await offer({ madeMs: nowMs - offerMs + 1000 })];
    expect(await outcome()).toBe('asked');
  });

  it('takes an offer once, also after a reset', async () => {
    offers = [await offer()];
    expect(await outcome()).toBe('asked');
    expect(await outcome()).toMatch(/^waiting: .*taken that offer before/);
    await resetDevice(folder);
    expect(await outcome()).toMatch(/^waiting: .*taken that offer before/);
    offers = [...offers, await offer()];
    expect(await outcome()).toBe('asked');
  });

  it('has noted an offer as taken before it follows it, and goes on with it after an answer that was lost', async () => {
    offers = [await offer()];
    onConnect = () => {
      throw new BindingError('transport', 'the line broke');
    };
    expect(await outcome()).toBe('asked');
    const state = await loadHailing(new Home(folder));
    expect([state?.usedNonces.size, state?.taken?.account]).toEqual([1, owner]);
    offers = [];
    expect(await outcome()).toBe('asked');
    onConnect = () => undefined;
    expect(await outcome()).toBe('asked');
    // Refused: it is over.
    expect(await outcome()).toBe('waiting');
  });

  it('does not look at more than can wait for it', async () => {
    const strange = () => offer({ key: encryptionKeyUdf(systemRandom(16)), madeMs: nowMs });
    offers = await Promise.all(Array.from({ length: 3 * offersPerDeviceMax }, strange));
    await poll();
    expect(calls.length).toBeLessThanOrEqual(offersPerDeviceMax);
  });

  it('is no other device: a home that was not made so is told', async () => {
    const other = await mkdtemp(join(tmpdir(), 'mesh-hail-'));
    await expect(pollHailing(other, environment())).rejects.toThrow(/preconfigure/);
    await expect(resetDevice(other)).rejects.toThrow(/preconfigure/);
    await expect(resetDevice(factoryHome)).rejects.toThrow(/preconfigure/);
  });

  it('keeps its file whole', async () => {
    const home = new Home(folder);
    const state = await loadHailing(home);
    if (state === undefined) throw new Error('no state');
    const taken = { account: owner, pin: 'NAAA', meshFingerprint: new Uint8Array(64).fill(3), createdMs: 7 };
    const full = {
      ...state,
      usedNonces: new Set(['a', 'b']),
      taken,
      pressedMs: 5,
      url: 'https://a.example',
      ca: 'PEM',
    };
    await saveHailing(home, full);
    expect(await loadHailing(home)).toEqual(full);
  });
});

describe('[S57] a device with a button', () => {
  it('takes offers for ten minutes after it was pressed, and asks for nothing else', async () => {
    folder = await make(true);
    offers = [await offer()];
    expect(await outcome()).toBe('button');
    expect(calls).toEqual([]);
    nowMs += 1000;
    offers = [];
    expect(await outcome(true)).toBe('waiting');
    nowMs += offerButtonMs - 1;
    expect(await outcome()).toBe('waiting');
    nowMs += 1;
    offers = [await offer()];
    expect(await outcome()).toBe('button');
    expect(await outcome(true)).toBe('asked');
  });
});
