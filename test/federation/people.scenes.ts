/** People at two providers get to know each other, and ask each other to confirm things (R161, semantics 8.6, S72). */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Device, withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import {
  answerConfirmation,
  askedConfirmation,
  pendingConfirmations,
  requestConfirmation,
} from '@meshd/client/operations/confirmations';
import { completeConnection, requestConnection } from '@meshd/client/operations/connect-device';
import {
  acceptContact,
  type ContactRequest,
  pendingContacts,
  rejectContact,
  requestContact,
  takeReplies,
} from '@meshd/client/operations/contact-exchange';
import { codeWith, contactNamed, listContacts, udfOf, verifyContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { markMessages } from '@meshd/client/operations/message-marks';
import { findMessage, type ListedMessage, listMessages } from '@meshd/client/operations/messages';
import { setOwnName } from '@meshd/client/operations/own-contact';
import { sendMessage } from '@meshd/client/operations/send-message';
import { synchronise } from '@meshd/client/operations/sync';
import { writeJson } from '@meshd/encoding/json-writer';
import { afterAll, describe, expect, it } from 'vitest';
import { type Provider, patience, sharedProviders, testMs } from './infrastructure-kit.js';

let folder: string;
let carol: Guest;
let dave: Guest;
let erin: Guest;

/** Somebody with a device, who does what a person does. */
class Guest {
  readonly address: string;
  readonly home: string;

  constructor(address: string, home: string) {
    this.address = address;
    this.home = home;
  }

  does<T>(work: (device: Device) => Promise<T>): Promise<T> {
    return withDevice(this.home, systemEnvironment(), work);
  }

  /** Another device of the account, with one right. */
  async connects(name: string, permission: string): Promise<Guest> {
    const guest = new Guest(this.address, join(folder, name));
    const environment = systemEnvironment();
    const { url, processes } = made().beta;
    const ca = await readFile(processes.plan.certificates.caFile, 'utf8');
    const { pin } = await this.does((device) => givePin(device));
    await requestConnection(guest.home, environment, { address: this.address, url, ca, pin, description: name });
    const [judged] = await this.does((device) => acceptByPins(device, { permissions: [{ Name: permission }] }));
    expect(judged?.outcome).toBe('accepted');
    expect(await completeConnection(guest.home, environment, ca)).toMatchObject({ stage: 'connected' });
    return guest;
  }

  /** Another replica of the account, as it was before anything of this. */
  async copy(name: string): Promise<Guest> {
    await cp(this.home, join(folder, name), { recursive: true });
    return new Guest(this.address, join(folder, name));
  }
}

async function newGuest(name: string, provider: Provider): Promise<Guest> {
  const guest = new Guest(`${name}@${provider.domain}`, join(folder, name));
  const ca = await readFile(provider.processes.plan.certificates.caFile, 'utf8');
  await createAccount(guest.home, systemEnvironment(), { address: guest.address, url: provider.url, ca });
  return guest;
}

/** Looks until there is something. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  let found: T | undefined;
  await expect
    .poll(async () => {
      found = await look();
      return found !== undefined;
    }, patience)
    .toBe(true);
  return found as T;
}

const requestOf = (to: Guest, from: Guest): Promise<ContactRequest> =>
  until(async () => (await to.does(pendingContacts)).requests.find(({ message }) => message.sender === from.address));
const inboundOf = async (guest: Guest, id: string): Promise<ListedMessage | undefined> =>
  (await guest.does((device) => listMessages(device, 'inbound'))).messages.find((message) => message.id === id);
const contactOf = (guest: Guest, other: Guest) =>
  guest.does(async (device) => {
    const contact = contactNamed(await listContacts(device), other.address);
    return { contact, code: await codeWith(device, contact) };
  });
/** What became of a message at its recipient, once that is known. */
const fateOf = (guest: Guest, id: string): Promise<string> =>
  until(async () => {
    const [delivery] = (await guest.does((device) => findMessage(device, id, ['outbound']))).deliveries;
    return delivery === undefined || delivery.result === 'queued' ? undefined : delivery.result;
  });

const made = sharedProviders(async ({ alpha, beta }) => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-people-'));
  [carol, dave, erin] = await Promise.all([newGuest('carol', alpha), newGuest('dave', beta), newGuest('erin', alpha)]);
});
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

describe('[R161] two people who do not know each other', () => {
  it(
    'exchange their cards across providers, once one has asked and the other has accepted',
    async () => {
      await carol.does((device) => setOwnName(device, 'Carol Cook'));
      const asked = await carol.does((device) =>
        requestContact(device, { address: dave.address, subject: 'the choir', wantsReply: true }),
      );
      // His key is not known: the request goes in clear.
      expect(asked.messages).toMatchObject([{ isEncrypted: false, state: 'sent' }]);
      const request = await requestOf(dave, carol);
      expect(request).toMatchObject({
        standing: 'new',
        introduction: { subject: 'the choir', card: { name: 'Carol Cook' } },
      });
      const accepted = await dave.does((device) => acceptContact(device, request.message.id));
      // [S60] [S61] Hers is, by now: the answer is for her and him alone.
      expect(accepted.reply).toMatchObject({ isEncrypted: true, state: 'sent' });
      const [filed] = await until(async () => {
        const taken = await carol.does(takeReplies);
        return taken.length === 0 ? undefined : taken;
      });
      expect(filed?.contact).toMatchObject({ address: dave.address, permissions: ['*'], isVerified: false });
      expect(await carol.does(takeReplies)).toEqual([]);
    },
    testMs,
  );

  it(
    '[S72] have the same code, and say so',
    async () => {
      const [here, there] = [await contactOf(carol, dave), await contactOf(dave, carol)];
      expect(here.code).toBe(there.code);
      const wrong = there.code.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
      await expect(carol.does((device) => verifyContact(device, dave.address, wrong))).rejects.toThrow(/not the code/);
      expect(await carol.does((device) => verifyContact(device, 'dave', there.code))).toMatchObject({
        isVerified: true,
      });
    },
    testMs,
  );

  it(
    '[R155] write to each other encrypted from then on; what one device marks, the others show',
    async () => {
      const tablet = await dave.copy('tablet');
      const { messages } = await carol.does((device) =>
        sendMessage(device, {
          ...{ recipients: [dave.address], type: 'Note', mayBeClear: false },
          body: (own) => writeJson({ Note: { ...own, Text: 'Tuesday' } }),
        }),
      );
      const id = messages[0]?.id as string;
      expect(await until(() => inboundOf(dave, id))).toMatchObject({
        ...{ isEncrypted: true, isRead: false, isDeleted: false, body: { Text: 'Tuesday' } },
      });
      await dave.does((device) => markMessages(device, [id], 'Read'));
      expect(await inboundOf(tablet, id)).toMatchObject({ isRead: true });
      await tablet.does((device) => markMessages(device, [id.slice(0, 9)], 'Deleted'));
      expect(await inboundOf(dave, id)).toMatchObject({ isDeleted: true });
      const decided = (await tablet.does((device) => listMessages(device, 'inbound'))).messages;
      expect(decided).toContainEqual(expect.objectContaining({ type: 'RequestContact', decision: 'accepted' }));
    },
    testMs,
  );

  it(
    'are not known to each other where one says no, and the other is told nothing',
    async () => {
      await erin.does((device) => requestContact(device, { address: dave.address, wantsReply: true }));
      const { message } = await requestOf(dave, erin);
      await dave.does((device) => rejectContact(device, message.id));
      expect((await dave.does(pendingContacts)).requests).toEqual([]);
      await expect(dave.does((device) => acceptContact(device, message.id))).rejects.toThrow(/there is no message/);
      expect((await dave.does(listContacts)).map(({ address }) => address)).toEqual([carol.address]);
      expect(await inboundOf(dave, message.id)).toMatchObject({ decision: 'rejected' });
    },
    testMs,
  );

  it(
    '[S72] are not brought together by an account that is not the one of the code that was scanned',
    async () => {
      const other = await contactOf(carol, dave);
      const expectedUdf = udfOf(other.contact)?.replace(/^M.../, 'MAAA') as string;
      await erin.does((device) => requestContact(device, { address: dave.address, expectedUdf, wantsReply: true }));
      const { message } = await requestOf(dave, erin);
      const { reply } = await dave.does((device) => acceptContact(device, message.id));
      expect(await fateOf(dave, reply?.id as string)).toBe('refused');
      expect(await erin.does(takeReplies)).toEqual([]);
      expect((await erin.does(listContacts))[0]).toMatchObject({ account: undefined, permissions: ['ReplyContact'] });
    },
    testMs,
  );
});

describe('[R161] a request for confirmation', () => {
  const ask = async (text: string): Promise<string> => {
    const { messages } = await carol.does((device) => requestConfirmation(device, { address: dave.address, text }));
    expect(messages).toMatchObject([{ isEncrypted: true, state: 'sent' }]);
    return messages[0]?.id as string;
  };
  const arrived = (id: string) =>
    until(async () => (await dave.does(pendingConfirmations)).find(({ message }) => message.id === id));
  const settled = (id: string) =>
    until(async () => {
      const asked = await carol.does((device) => askedConfirmation(device, id));
      return asked.state === 'waiting' ? undefined : asked;
    });

  it.each([true, false])(
    'is answered, once, and the answer is believed: %s',
    async (accept) => {
      const id = await ask(`Sing on Tuesday (${accept})?`);
      expect(await carol.does((device) => askedConfirmation(device, id))).toMatchObject({ state: 'waiting' });
      expect(await arrived(id)).toMatchObject({ text: `Sing on Tuesday (${accept})?` });
      const given = await dave.does((device) => answerConfirmation(device, id, accept));
      expect(given.response).toMatchObject({ isEncrypted: true, state: 'sent' });
      expect(await settled(id)).toMatchObject({ state: accept ? 'accepted' : 'rejected', refused: [] });
      expect(await inboundOf(dave, id)).toMatchObject({ decision: accept ? 'accepted' : 'rejected' });
      await expect(dave.does((device) => answerConfirmation(device, id, !accept))).rejects.toThrow(
        /there is no message/,
      );
    },
    testMs,
  );

  it(
    'is answered by a device that was given that right alone, and by none without it',
    async () => {
      const phone = await dave.connects('phone', 'Confirmation');
      const radio = await dave.connects('radio', 'Messaging');
      const id = await ask('Louder?');
      await arrived(id);
      await expect(radio.does((device) => answerConfirmation(device, id, true))).rejects.toThrow(/may not confirm/);
      // Nor does it get past its own service with an answer of its own making.
      const forged = await radio.does((device) =>
        sendMessage(device, {
          ...{ recipients: [carol.address], type: 'ResponseConfirmation', mayBeClear: true },
          body: (own) => writeJson({ ResponseConfirmation: { ...own, Accept: true } }),
        }),
      );
      expect(forged.messages).toMatchObject([{ state: 'refused', reason: expect.stringMatching(/not authorised/) }]);
      await phone.does((device) => synchronise(device));
      await phone.does((device) => answerConfirmation(device, id, true));
      expect(await settled(id)).toMatchObject({ state: 'accepted', refused: [] });
      await expect(phone.does(listContacts)).rejects.toThrow(/not given the right to read mmm_Contact/);
    },
    testMs,
  );

  it(
    'is not sent to people whose key is not known',
    async () => {
      const asking = erin.does((device) => requestConfirmation(device, { address: dave.address, text: 'Well?' }));
      await expect(asking).rejects.toThrow(/mesh contact request/);
    },
    testMs,
  );
});
