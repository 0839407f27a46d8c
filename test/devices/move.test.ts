/**
 * An account on its way between two real services (R008 to R011, R027): interrupted at every step and gone on with, undone, followed
 * by the devices that were not asked, and refused where either service lies.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { readDiscoverySettings } from '@meshd/binding/discovery/settings';
import { MeshConnection, type VerifiedResponse } from '@meshd/binding/mesh-connection';
import { accountOf, type Device, withDevice } from '@meshd/client/device';
import { type ClientEnvironment, type ServiceLocation, systemEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { addService, listServices, removeService } from '@meshd/client/move/services';
import { moveAccount, moveSteps, resumeMove, undoMove } from '@meshd/client/move/switch';
import { completeConnection, requestConnection } from '@meshd/client/operations/connect-device';
import {
  acceptContact,
  pendingContacts,
  requestContact,
  takeReplies,
  tellContacts,
} from '@meshd/client/operations/contact-exchange';
import { codeWith, contactNamed, listContacts, verifyContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { downloadContainer } from '@meshd/client/operations/download';
import { findMessage, listMessages } from '@meshd/client/operations/messages';
import { synchronise } from '@meshd/client/operations/sync';
import { uploadFiles } from '@meshd/client/operations/upload';
import { homePins } from '@meshd/client/service-pin';
import { clientFeatures } from '@meshd/client/session';
import { systemRandom } from '@meshd/crypto/random';
import { waitFor } from '@meshd/dev/wait';
import type { Transaction } from '@meshd/schema/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTwoProviders, type TwoProviders } from '../outbound/two-providers.js';

const container = 'my_Notes';
const [old, next] = ['alice@alpha.test', 'alice@beta.test'];
let stage: TwoProviders;
let folder: string;
let ca: string;
let environment: ClientEnvironment;

const home = (name: string) => join(folder, name);
const on = <T>(name: string, work: (device: Device) => Promise<T>, by = environment) =>
  withDevice(home(name), by, work);
const write = (name: string, file: string) =>
  on(name, (device) => uploadFiles(device, container, [{ name: file, content: Buffer.from(`by ${name}`) }]));
const addressOf = async (name: string) => (await accountOf(home(name)))?.address;
const to = { address: next };

async function notes(name: string): Promise<string[]> {
  const { entries } = await on(name, (device) => downloadContainer(device, container));
  return entries.flatMap(({ name: file }) => file ?? []).sort();
}

/** Breaks off where a step, or work of this name, begins. */
const breaksAt = (label: string): ClientEnvironment => ({
  ...environment,
  progress: (shown) => {
    if (shown === label) throw new Error(`broken off at ${label}`);
  },
});

type Lie = (
  domain: string,
  transaction: Transaction,
  response: VerifiedResponse<Transaction>,
) => VerifiedResponse<Transaction>;

/** Both services, as they are, but for what one says: under its own signature, as it may. */
function lying(name: string, lie: Lie): ClientEnvironment {
  const pins = homePins(new Home(home(name)));
  const connect = (service: ServiceLocation) => {
    const features = service.moves === true ? [...clientFeatures, 'move' as const] : clientFeatures;
    const real = new MeshConnection({ ...service, pins, features, locator: environment.locator, random: systemRandom });
    return {
      call: async (...args: Parameters<typeof real.call>) =>
        lie(service.domain, args[0], await real.call(...args)) as never,
      // Whoever lies signs what he says; here he signs nothing.
      offers: async (word: Parameters<typeof real.offers>[0]) => word !== 'heads-1' && real.offers(word),
      hello: () => real.hello(),
      close: () => real.close(),
    };
  };
  return { ...environment, connect };
}

/** A service that states something else of the notes. */
const says =
  (domain: string, change: (status: { Index?: number; Digest?: Uint8Array }) => object): Lie =>
  (at, transaction, response) => {
    if (at !== domain || transaction !== 'Status') return response;
    const {
      EnvelopedHeads: _,
      ContainerStatus: statuses = [],
      ...message
    } = response.message as {
      EnvelopedHeads?: unknown;
      ContainerStatus?: { Container?: string; Index?: number; Digest?: Uint8Array }[];
    };
    // Also where the answer would leave it out, because the asker knows how it is.
    const told = statuses.find((status) => status.Container === container) ?? { Container: container };
    const others = statuses.filter((status) => status.Container !== container);
    const changed = [...others, { ...told, ...change(told) }];
    return { ...response, message: { ...message, ContainerStatus: changed } } as typeof response;
  };

beforeAll(async () => {
  stage = await startTwoProviders();
  folder = await mkdtemp(join(tmpdir(), 'meshd-move-'));
  const providers = [stage.alpha, stage.beta];
  const overrides = providers.map(({ domain, port }) => `${domain}=127.0.0.1:${port}`).join(',');
  const settings = readDiscoverySettings({ overrides });
  const locator = new ServiceLocator({ ...settings, reach: 'any', clock: () => Date.now() });
  environment = { ...systemEnvironment(), locator };
  ca = [stage.alpha, stage.beta].map((provider) => provider.ca).join('\n');
  await createAccount(home('laptop'), environment, { address: old, ca });
  const { pin } = await on('laptop', (device) => givePin(device));
  await requestConnection(home('phone'), environment, { address: old, ca, pin, description: 'phone' });
  await on('laptop', (device) => acceptByPins(device));
  expect(await completeConnection(home('phone'), environment, ca)).toMatchObject({ stage: 'connected' });
  await createAccount(home('bob'), environment, { address: 'bob@alpha.test', ca });
  await introduce();
  await write('laptop', 'first');
  await write('phone', 'second');
});

afterAll(async () => {
  await stage?.stop();
  await rm(folder, { recursive: true, force: true });
});

const patience = { what: 'a message', deadlineMs: 20_000 };
const taken = (name: string) => waitFor(async () => (await on(name, (device) => takeReplies(device)))[0], patience);

/** Bob and Alice know each other, and have compared their keys. */
async function introduce(): Promise<void> {
  await on('bob', (device) => requestContact(device, { address: old, wantsReply: true }));
  const pending = () => on('laptop', async (device) => (await pendingContacts(device)).requests[0]?.message.id);
  const id = await waitFor(pending, patience);
  await on('laptop', (device) => acceptContact(device, id));
  await taken('bob');
  await on('bob', async (device) => {
    const alice = contactNamed(await listContacts(device), old);
    await verifyContact(device, old, await codeWith(device, alice));
  });
}

/** A message of theirs has come to this. */
async function ended(name: string, id: string, delivery: object): Promise<void> {
  const now = () => on(name, async (device) => (await findMessage(device, id, ['outbound'])).deliveries[0]);
  const end = async () => ((await now())?.result === 'queued' ? undefined : await now());
  expect(await waitFor(end, patience)).toMatchObject(delivery);
}

describe('services that lie', () => {
  it('[R027] [S47] an old one that keeps entries back is found out before anything goes anywhere', async () => {
    await on('laptop', (device) => synchronise(device));
    // A device of its own, which writes nothing more once it has caught the service.
    await cp(home('laptop'), home('caught'), { recursive: true });
    const keepsBack = lying(
      'caught',
      says('alpha.test', () => ({ Index: 2 })),
    );
    await expect(moveAccount(home('caught'), keepsBack, { to, leaves: true })).rejects.toMatchObject({
      code: 'rollback',
    });
    expect(await listServices(home('caught'))).toMatchObject([{ address: old, isAuthoritative: true }]);
  });

  it.each<[string, (status: { Index?: number; Digest?: Uint8Array }) => object, RegExp]>([
    [
      'has less than it was given',
      ({ Index = 0 }) => ({ Index: Math.min(Index, 2) }),
      /has 2 of the \d+ frames of my_Notes/,
    ],
    ['has something else', () => ({ Digest: new Uint8Array(64) }), /other frames of my_Notes/],
  ])('[R027] a new one that %s does not get the account', async (_what, change, message) => {
    const cheats = lying('laptop', says('beta.test', change));
    await expect(moveAccount(home('laptop'), cheats, { to, leaves: true })).rejects.toMatchObject({
      code: 'copy',
      message: expect.stringMatching(message),
    });
    expect(await addressOf('laptop')).toBe(old);
    await undoMove(home('laptop'), environment);
    expect(await notes('phone')).toEqual(['first', 'second']);
  });

  it('[R027] nobody follows a notice that the account’s own keys have not signed', async () => {
    const forged: Lie = (domain, transaction, response) =>
      domain === 'alpha.test' && transaction === 'Status'
        ? { ...response, status: 303, statusExtended: 25, description: 'alice@beta.test', succeeded: false }
        : response;
    await expect(on('phone', (device) => synchronise(device), lying('phone', forged))).rejects.toMatchObject({
      code: 'profile',
      message: expect.stringContaining('nothing that the account’s own keys'.replace('’', "'")),
    });
    expect(await addressOf('phone')).toBe(old);
    expect(await notes('phone')).toEqual(['first', 'second']);
  });
});

describe('a move', () => {
  it('[R027] to a service that is not there changes nothing', async () => {
    const nowhere = { to: { address: 'alice@nowhere.test' }, leaves: true };
    await expect(moveAccount(home('laptop'), environment, nowhere)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(undoMove(home('laptop'), environment)).rejects.toThrow('undone already');
    expect(await listServices(home('laptop'))).toMatchObject([{ address: old }]);
  });

  it.each(['copying', 'copying the rest', 'looking there'])('[R027] broken off at %s it is undone', async (step) => {
    await expect(moveAccount(home('laptop'), breaksAt(step), { to, leaves: true })).rejects.toThrow(step);
    const { noNotice } = await undoMove(home('laptop'), environment);
    expect(noNotice).toBeUndefined();
    expect([await addressOf('laptop'), await notes('phone'), await addressOf('phone')]).toEqual([
      old,
      ['first', 'second'],
      old,
    ]);
    await expect(undoMove(home('laptop'), environment)).rejects.toThrow('undone already');
  });

  it('[R027] [R011] broken off at every step it is gone on with, and all is there', async () => {
    for (const step of [...moveSteps, `copying ${container}`]) {
      const first = moveAccount(home('laptop'), breaksAt(step), { to, leaves: true });
      if (step !== `copying ${container}`) await expect(first).rejects.toThrow(step);
      else await first;
    }
    const stores = await listServices(home('laptop'));
    expect(stores).toMatchObject([{ address: next, isAuthoritative: true }]);
    expect(await notes('laptop')).toEqual(['first', 'second']);
    await expect(resumeMove(home('laptop'), environment)).rejects.toThrow('no move is under way');
  });

  it('[R027] the other device follows by itself, writes there, and is read', async () => {
    expect(await addressOf('phone')).toBe(old);
    await write('phone', 'third');
    expect(await addressOf('phone')).toBe(next);
    expect(await notes('laptop')).toEqual(['first', 'second', 'third']);
  });

  it('[R027] [S72] who writes to the old address is told that it has moved; who is known learns of the new one', async () => {
    const written = await on('bob', (device) => requestContact(device, { address: old, wantsReply: false }));
    await ended('bob', written.messages[0]?.id ?? '', { result: 'refused', statusExtended: 25 });
    await on('laptop', (device) => tellContacts(device));
    await taken('bob');
    const [known, ...others] = await on('bob', (device) => listContacts(device));
    expect([known?.address, known?.isVerified, others]).toEqual([next, true, []]);
    // What came to the old address, and what its service said of messages from there, is read as before.
    const { refused, messages } = await on('laptop', (device) => listMessages(device, 'inbound'));
    expect([refused, messages.map(({ sender }) => sender)]).toEqual([[], ['bob@alpha.test']]);
    const sent = await on('laptop', (device) => listMessages(device, 'outbound'));
    expect(sent.messages[0]).toMatchObject({ sender: old, deliveries: [{ result: 'delivered' }] });
  });

  it('[R027] the way back takes along what was written meanwhile', async () => {
    const { from, to: at, stores } = await undoMove(home('laptop'), environment);
    expect([from, at]).toEqual([next, old]);
    expect(stores.find((store) => store.container === container)?.copiedCount).toBeGreaterThan(0);
    expect(await notes('phone')).toEqual(['first', 'second', 'third']);
    expect([await addressOf('laptop'), await addressOf('phone')]).toEqual([old, old]);
  });
});

describe('several addresses', () => {
  it('[R009] [R010] [R011] one is added, is made the authoritative one, and the other is removed', async () => {
    await addService(home('laptop'), environment, to);
    expect(await listServices(home('laptop'))).toMatchObject([
      { address: old, isAuthoritative: true },
      { address: next, isAuthoritative: false },
    ]);
    await write('phone', 'fourth');
    await expect(removeService(home('laptop'), environment, old)).rejects.toMatchObject({ code: 'usage' });
    await moveAccount(home('laptop'), environment, { to, leaves: false });
    expect((await listServices(home('laptop'))).map(({ address }) => address)).toEqual([next, old]);
    expect(await notes('phone')).toEqual(['first', 'fourth', 'second', 'third']);
    expect(await addressOf('phone')).toBe(next);
    expect(await removeService(home('laptop'), environment, old)).toBeUndefined();
    expect((await listServices(home('laptop'))).map(({ address }) => address)).toEqual([next]);
    await write('phone', 'fifth');
    expect(await notes('laptop')).toHaveLength(5);
  });
});
