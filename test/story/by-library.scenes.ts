/**
 * The same story through the client library, as another program would live it: carol at one provider, with five devices, and
 * her friend dave at the other.
 */
import { readFile } from 'node:fs/promises';
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { readDiscoverySettings } from '@meshd/binding/discovery/settings';
import {
  applicationKind,
  bookmarkKind,
  credentialKind,
  type ItemFields,
  type ItemKind,
  itemKinds,
  networkKind,
  taskKind,
} from '@meshd/client/catalog/kinds';
import { type Device, withDevice } from '@meshd/client/device';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { moveAccount } from '@meshd/client/move/switch';
import { acceptByCode, openRequest, pendingDevice } from '@meshd/client/operations/administer-devices';
import { catalogItem, catalogItems, freshItemKey, putItem } from '@meshd/client/operations/catalog-items';
import {
  answerConfirmation,
  askedConfirmation,
  pendingConfirmations,
  requestConfirmation,
} from '@meshd/client/operations/confirmations';
import { completeConnection, confirmConnection, requestConnection } from '@meshd/client/operations/connect-device';
import { acceptContact, pendingContacts, requestContact, takeReplies } from '@meshd/client/operations/contact-exchange';
import { listContacts, verifyContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { listDevices, revokeDevice } from '@meshd/client/operations/device-list';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { splitMaster } from '@meshd/client/operations/escrow';
import { pollHailing, preconfigureDevice } from '@meshd/client/operations/hail';
import { acceptInvited, hasShownItself, inviteDevice } from '@meshd/client/operations/invite-device';
import { recoverAccount } from '@meshd/client/operations/recover';
import { syncAccount, synchronise } from '@meshd/client/operations/sync';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { patience, type Stage, stepMs } from './stage.js';

const address = 'carol@alpha.test';
const movedTo = 'carol@beta.test';
const friend = 'dave@beta.test';

/** Registers the steps. */
export function tellThroughLibrary(stage: () => Stage): void {
  let environment: ClientEnvironment;
  let ca: string;
  beforeAll(async () => {
    const { overrides, caFile } = stage();
    const settings = readDiscoverySettings({ overrides });
    const locator = new ServiceLocator({ ...settings, reach: 'any', clock: () => Date.now() });
    environment = { ...systemEnvironment(), locator };
    ca = await readFile(caFile, 'utf8');
  });
  const home = (name: string) => stage().path(`carol-${name}`);
  const as = <T>(name: string, work: (device: Device) => Promise<T>) => withDevice(home(name), environment, work);
  const secret = (what: string, text: string) => stage().secret(`${what} (carol)`, text);
  const remember = (name: string) => stage().rememberKeys(`carol-${name}`);
  const until = <T>(look: () => Promise<T | undefined>): Promise<T> =>
    vi.waitFor(async () => {
      const found = await look();
      if (found === undefined) throw new Error('not yet');
      return found;
    }, patience);
  const put = (name: string, kind: ItemKind, fields: ItemFields, offline = false) =>
    as(name, (device) => putItem(device, kind, fields, { offline }));
  const fieldsOf = (name: string, kind: ItemKind) =>
    as(name, async (device) => (await catalogItems(device, kind)).map(({ fields }) => fields));
  let shares: readonly string[];

  describe('carol, through the client library', () => {
    it(
      'has an account on her desk, a phone by PIN and a pad by code',
      async () => {
        await createAccount(home('desk'), environment, { address, ca });
        shares = await as('desk', (device) => splitMaster(device, { shareCount: 2, quorum: 2 }));
        for (const share of shares) stage().secretUdf('share of carol', share);
        const asking = { address, ca };
        const { pin } = await as('desk', (device) => givePin(device));
        stage().secretUdf('PIN of carol', pin);
        await requestConnection(home('phone'), environment, { ...asking, pin, description: 'carols phone' });
        const [judged] = await as('desk', (device) => acceptByPins(device));
        expect(judged?.outcome).toBe('accepted');
        expect((await completeConnection(home('phone'), environment, ca)).stage).toBe('connected');
        const { deviceUdf } = await requestConnection(home('pad'), environment, {
          ...{ ...asking, pin: undefined, description: 'carols pad' },
        });
        await as('desk', async (device) => openRequest(device, await pendingDevice(device, deviceUdf)));
        const shown = await completeConnection(home('pad'), environment, ca);
        const code = secret('code', shown.stage === 'code' ? shown.code : '');
        const { confirm } = await as('desk', async (device) =>
          acceptByCode(device, await pendingDevice(device, deviceUdf), code),
        );
        await confirmConnection(home('pad'), secret('other half of the code', confirm ?? ''));
        expect((await completeConnection(home('pad'), environment, ca)).stage).toBe('connected');
      },
      stepMs,
    );

    it(
      'invites a bulb by its code, which hails at another provider',
      async () => {
        const maker = stage().path('maker');
        await createAccount(maker, environment, { address: 'maker@beta.test', ca });
        const bulb = await withDevice(maker, environment, (device) =>
          preconfigureDevice(device, home('bulb'), { description: 'carols bulb', hasButton: false, ca }),
        );
        stage().secretUdf('key of the code on the bulb', bulb.earl.slice(bulb.earl.lastIndexOf('/') + 1));
        await vi.waitFor(() => as('desk', (device) => inviteDevice(device, bulb.earl, { ca })), patience);
        await until(async () => {
          const { progress } = await pollHailing(home('bulb'), environment, { ca });
          if (progress.stage === 'connected') return true;
          await as('desk', (device) => acceptInvited(device, bulb.deviceUdf));
          return undefined;
        });
        await as('bulb', (device) => syncAccount(device));
        expect(await as('desk', (device) => hasShownItself(device, bulb.deviceUdf))).toBe(true);
      },
      stepMs,
    );

    it(
      'writes into all catalogs on devices that do not see each other, and all come to the same',
      async () => {
        const service = { Service: 'forum.example', Protocol: 'http' };
        await put('desk', credentialKind, { ...service, Password: secret('a password', 'first-Thing-77') });
        for (const name of ['phone', 'pad']) await as(name, (device) => synchronise(device));
        await put('phone', credentialKind, { ...service, Password: secret('a password', 'second-Thing-78') }, true);
        await put(
          'phone',
          bookmarkKind,
          { Path: secret('a path', 'Recipes/plum cake'), Uri: 'https://r.example' },
          true,
        );
        await put(
          'pad',
          networkKind,
          { Service: 'cellar-lan', Password: secret('of a network', 'cellar-door-1') },
          true,
        );
        const key = await as('pad', async (device) => freshItemKey(device));
        await put('pad', taskKind, { Key: key, Title: secret('a task', 'Water the orchids') }, true);
        const application = { Key: secret('an application', 'orchid-club-mail'), Kind: 'mail' };
        await put('phone', applicationKind, application, true);
        for (const name of ['phone', 'pad', 'desk']) await as(name, (device) => synchronise(device));
        for (const kind of itemKinds) {
          const [desk, ...others] = await Promise.all(['desk', 'phone', 'pad'].map((name) => fieldsOf(name, kind)));
          expect(desk).toHaveLength(1);
          expect(others).toEqual([desk, desk]);
        }
        const read = await as('desk', (device) => catalogItem(device, credentialKind, 'forum.example'));
        expect(read.fields.Password).toBe('second-Thing-78');
      },
      stepMs,
    );

    it(
      'befriends dave at another provider, and answers what he wants confirmed',
      async () => {
        await createAccount(home('dave'), environment, { address: friend, ca });
        await as('desk', (device) => requestContact(device, { address: friend, wantsReply: true }));
        const asked = await until(async () => (await as('dave', pendingContacts)).requests[0]);
        const accepting = { name: secret('what dave calls her', 'Caro of the orchids') };
        const { code } = await as('dave', (device) => acceptContact(device, asked.message.id, accepting));
        await until(async () => (await as('desk', takeReplies))[0]);
        await as('phone', (device) => synchronise(device));
        await as('desk', (device) => verifyContact(device, friend, code));
        expect(await as('phone', listContacts)).toMatchObject([{ address: friend, isVerified: true }]);
        const text = secret('what is confirmed', 'Lend the ladder until Sunday?');
        const { messages } = await as('dave', (device) => requestConfirmation(device, { address, text }));
        const id = messages[0]?.id ?? '';
        await until(async () => (await as('pad', pendingConfirmations)).find(({ message }) => message.id === id));
        await as('pad', (device) => answerConfirmation(device, id, false));
        const answered = await until(async () => {
          const found = await as('dave', (device) => askedConfirmation(device, id));
          return found.state === 'waiting' ? undefined : found;
        });
        expect(answered).toMatchObject({ state: 'rejected', refused: [] });
      },
      stepMs,
    );

    it(
      '[S25] [S48] loses everything but the pad, comes back from shares, and shuts the others out',
      async () => {
        for (const name of ['desk', 'phone', 'pad', 'bulb']) await remember(name);
        const options = { shares, address, description: 'carols new desk', ca };
        const { otherDevices } = await recoverAccount(home('new'), environment, options);
        expect(otherDevices).toHaveLength(4);
        const desk = await as('desk', async ({ session }) => session.identity.deviceUdf);
        for (const name of [desk, 'carols phone']) {
          await as('new', (device) => revokeDevice(device, name));
        }
        for (const name of ['desk', 'phone']) {
          await expect(as(name, (device) => synchronise(device))).rejects.toThrow(/revoked/i);
        }
        await put('new', credentialKind, {
          Service: 'forum.example',
          Protocol: 'http',
          Password: secret('the last', 'third-Thing-79'),
        });
        const read = await as('pad', (device) => catalogItem(device, credentialKind, 'forum.example'));
        expect(read.fields.Password).toBe('third-Thing-79');
        expect((await as('pad', listDevices)).map(({ description }) => description).sort()).toEqual([
          'carols bulb',
          'carols new desk',
          'carols pad',
        ]);
      },
      stepMs,
    );

    it(
      '[R027] moves to the other provider, and her pad follows with all that is on it',
      async () => {
        await moveAccount(home('new'), environment, { to: { address: movedTo, ca }, leaves: true });
        await as('pad', (device) => synchronise(device));
        expect(await as('pad', async ({ session }) => session.state.address)).toBe(movedTo);
        await put('pad', bookmarkKind, { Path: 'New/home', Uri: secret('a bookmark', 'https://moving.example/boxes') });
        const paths = (await fieldsOf('new', bookmarkKind)).map(({ Path: path }) => path);
        expect(paths.sort()).toEqual(['New/home', 'Recipes/plum cake']);
        for (const name of ['new', 'pad', 'bulb']) await remember(name);
      },
      stepMs,
    );
  });
}
