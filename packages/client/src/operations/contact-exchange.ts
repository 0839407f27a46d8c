import { encodeTagged } from '@meshd/encoding/codec';
import { contactCatalog, outboundSpool } from '@meshd/schema/container-name';
import { ReplyContact, RequestContact } from '@meshd/schema/messages-mesh';
import { accountKeys } from '../contact-entry.js';
import type { Device } from '../device.js';
import { mayWrite } from '../entitlement.js';
import { ClientError } from '../errors.js';
import { ownPermissions } from '../own-permissions.js';
import type { ContactCard } from '../people/card.js';
import { type Introduction, readIntroduction, type Standing, standingOf } from '../people/exchange.js';
import { codeWithKey, contactsOf, type FiledContact, letAnswer, listContacts, saveContact } from './contacts.js';
import { sayOfMessages } from './message-marks.js';
import { type ListedMessage, listMessages, messageNamed } from './messages.js';
import { ownCard } from './own-contact.js';
import { type SendResult, type SentMessage, sendAnswer, sendMessage } from './send-message.js';
import { syncAccount } from './sync.js';

/*
 * Contact exchange (semantics 8.6): somebody asks to be known and sends his card; who accepts files it and sends his own back,
 * which the one who asked files without being asked again. Every step can be repeated: nothing is filed twice.
 */

const requestTypes: ReadonlySet<string> = new Set([RequestContact.name]);
const replyTypes: ReadonlySet<string> = new Set([ReplyContact.name]);

/** How to ask. */
export interface ContactAsking {
  /** Canonical. */
  readonly address: string;
  /** UDF of the account that must answer, where it was shown in person. */
  readonly expectedUdf?: string | undefined;
  /** What the other one reads beside the name. */
  readonly subject?: string | undefined;
  /** The other one's card is wanted. */
  readonly wantsReply: boolean;
}

/**
 * Asks somebody to be known, and sends the own card. To an account that is not known here the message goes in clear, signed;
 * from then on that address may answer, and nothing else until it has.
 *
 * @throws ClientError `usage` for oneself and for somebody who is blocked, `profile` where another account is known there
 */
export async function requestContact(device: Device, asking: ContactAsking): Promise<SendResult> {
  const { address, expectedUdf, subject, wantsReply } = asking;
  if (address === device.session.state.address) throw new ClientError('usage', 'that is this very account');
  if (wantsReply) await letAnswer(device, address, ReplyContact.name, expectedUdf);
  const card = await ownCard(device);
  return sendMessage(device, {
    ...{ recipients: [address], type: RequestContact.name, mayBeClear: true },
    body: (own) => {
      const said = { Reply: wantsReply, ...(subject === undefined ? {} : { Subject: subject }), Self: card };
      return encodeTagged(RequestContact, { ...own, ...said }, 'json');
    },
  });
}

/** Somebody who asks to be known. */
export interface ContactRequest {
  readonly message: ListedMessage;
  readonly introduction: Introduction;
  readonly standing: Standing;
  /** To compare with the person (S72). */
  readonly code: string;
}

/** A message of an exchange that shows nobody. */
export interface RefusedIntroduction {
  readonly id: string;
  readonly sender: string;
  readonly reason: string;
}

/** Who waits for an answer. */
export interface PendingContacts {
  readonly requests: readonly ContactRequest[];
  readonly refused: readonly RefusedIntroduction[];
}

const isOpen = ({ decision, isDeleted }: ListedMessage) => decision === undefined && !isDeleted;

/** Requests for contact that nobody has decided on yet, each card verified. @throws ClientError */
export async function pendingContacts(device: Device): Promise<PendingContacts> {
  const { messages } = await listMessages(device, 'inbound', { types: requestTypes });
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const requests: ContactRequest[] = [];
  const refused: RefusedIntroduction[] = [];
  for (const message of messages.filter(isOpen)) {
    const { id, sender } = message;
    const introduction = await introductionOf(message);
    if (typeof introduction === 'string') refused.push({ id, sender, reason: introduction });
    else {
      const { card } = introduction;
      const code = await codeWithKey(device, accountKeys(card.account).key);
      requests.push({ message, introduction, standing: standingOf(card, contacts.get(sender)), code });
    }
  }
  return { requests, refused };
}

/** What a message shows, or why it shows nothing. */
async function introductionOf(message: ListedMessage): Promise<Introduction | string> {
  try {
    return await readIntroduction(message);
  } catch (error) {
    return (error as Error).message;
  }
}

/** How to accept. */
export interface ContactAccepting {
  /** Message types that are taken from now on; where absent all, or what was said of the person before. */
  readonly permissions?: readonly string[] | undefined;
  readonly name?: string | undefined;
}

/** What accepting came to. */
export interface AcceptedContact {
  readonly contact: FiledContact;
  readonly code: string;
  /** The own card on its way back; undefined where none was wanted. */
  readonly reply: SentMessage | undefined;
}

/**
 * Files somebody who has asked, and sends the own card back where it is wanted.
 *
 * @param id of the request, or the beginning of it
 * @throws ClientError `usage` where no such request is open, `profile` where another account is known under that address
 */
export async function acceptContact(
  device: Device,
  id: string,
  accepting: ContactAccepting = {},
): Promise<AcceptedContact> {
  const { requests, refused } = await pendingContacts(device);
  const fault = refused.find((each) => each.id === id);
  if (fault !== undefined) throw new ClientError('profile', fault.reason);
  const { message, introduction, code } = requestNamed(requests, id);
  const contact = await saveContact(device, {
    ...{ address: message.sender, card: introduction.card, name: accepting.name },
    permissions: accepting.permissions ?? (await permissionsAfterBlock(device, message.sender)),
  });
  const reply = introduction.wantsReply ? await sendReply(device, message) : undefined;
  const answered = reply === undefined ? {} : { ResponseID: reply.id };
  await sayOfMessages(device, [{ MessageID: message.id, ...answered, Relationship: 'Accept' }]);
  return { contact, code, reply };
}

/** Who accepts somebody whom he had blocked means to hear of him. */
async function permissionsAfterBlock(device: Device, address: string): Promise<readonly string[] | undefined> {
  return (await contactsOf(device)).get(address)?.permissions.length === 0 ? ['*'] : undefined;
}

async function sendReply(device: Device, { id, sender }: ListedMessage): Promise<SentMessage> {
  const card = await ownCard(device);
  return sendAnswer(device, {
    ...{ recipients: [sender], type: ReplyContact.name, mayBeClear: false },
    body: (own) => encodeTagged(ReplyContact, { ...own, References: [{ MessageID: id }], Self: card }, 'json'),
  });
}

function requestNamed(requests: readonly ContactRequest[], id: string): ContactRequest {
  const { id: exact } = messageNamed(
    requests.map(({ message }) => message),
    id,
  );
  return requests.find(({ message }) => message.id === exact) as ContactRequest;
}

/** Says no to somebody who has asked; he is told nothing. @throws ClientError `usage` where no such request is open */
export async function rejectContact(device: Device, id: string): Promise<ListedMessage> {
  const { messages } = await listMessages(device, 'inbound', { types: requestTypes });
  const message = messageNamed(messages.filter(isOpen), id);
  await sayOfMessages(device, [{ MessageID: message.id, Relationship: 'Reject' }]);
  return message;
}

/** An answer to a request for contact of ours, and what became of it. */
export interface TakenReply {
  readonly id: string;
  readonly sender: string;
  /** Undefined where it was refused. */
  readonly contact: FiledContact | undefined;
  /** Why it was refused. */
  readonly reason: string | undefined;
}

/**
 * Files the people who have answered requests of ours, once each, and takes newer profiles of those who are known (S62, S72);
 * nobody else. A device that may not write contacts, or not see what was sent, leaves them to the others.
 *
 * @throws ClientError
 */
export async function takeReplies(device: Device): Promise<TakenReply[]> {
  const permissions = ownPermissions(device.session);
  if (!mayWrite(permissions, contactCatalog) || !mayWrite(permissions, outboundSpool)) return [];
  const open = (await listMessages(device, 'inbound', { types: replyTypes })).messages.filter(isOpen);
  if (open.length === 0) return [];
  const asked = (await listMessages(device, 'outbound', { types: requestTypes })).messages;
  const taken: TakenReply[] = [];
  for (const message of open) taken.push(await takeReply(device, message, asked));
  await sayOfMessages(
    device,
    taken.map(({ id, contact }) => ({ MessageID: id, Relationship: contact === undefined ? 'Reject' : 'Accept' })),
  );
  return taken;
}

async function takeReply(device: Device, message: ListedMessage, asked: readonly ListedMessage[]): Promise<TakenReply> {
  const { id, sender } = message;
  const refuse = (reason: string): TakenReply => ({ id, sender, contact: undefined, reason });
  const introduction = await introductionOf(message);
  if (typeof introduction === 'string') return refuse(introduction);
  const { card, answers } = introduction;
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const before = contacts.get(sender) === undefined ? movedPerson([...contacts.values()], card) : undefined;
  const known = contacts.get(sender) ?? before;
  const isKnown = standingOf(card, known) === 'known';
  const isAsked = asked.some((request) => request.id === answers && request.recipients.includes(sender));
  if (!isAsked && !isKnown) return refuse(`${sender} answers a request that this account has not sent to it`);
  try {
    const contact =
      isKnown && known && !isNews(card, known)
        ? known
        : await saveContact(device, { address: sender, card, movedFrom: before?.address });
    return { id, sender, contact, reason: undefined };
  } catch (error) {
    // Another account than the one that is known, or was shown in person (S72): the user is told, nothing is replaced.
    if (error instanceof ClientError && error.code === 'profile') return refuse(error.message);
    throw error;
  }
}

/**
 * Who is known under another address, where a newer profile of that very account is at this one (R027): the keys are the same, so
 * it is the same person.
 */
function movedPerson(contacts: readonly FiledContact[], card: ContactCard): FiledContact | undefined {
  const isAtHome = (card.account.ServiceIDs ?? [])[0] === card.address;
  if (!isAtHome) return undefined;
  return contacts.find((contact) => standingOf(card, contact) === 'known' && isNews(card, contact));
}

/** Whether a card brings a newer profile of an account that is known. */
const isNews = ({ account }: ContactCard, known: FiledContact): boolean =>
  (account.Updated?.getTime() ?? 0) > (known.account?.Updated?.getTime() ?? 0);

/**
 * Sends the own card, as it is now, to people who know this account: after its key was changed (S62), or its name.
 *
 * @param addresses of contacts; where absent everybody whose key is known and who is not blocked
 * @throws ClientError `entry` for somebody whose key is not known
 */
export async function tellContacts(device: Device, addresses?: readonly string[]): Promise<SendResult> {
  const contacts = await listContacts(device);
  const known = contacts.filter(({ account, permissions }) => account !== undefined && permissions.length > 0);
  const card = await ownCard(device);
  return sendMessage(device, {
    ...{ recipients: addresses ?? known.map(({ address }) => address), type: ReplyContact.name, mayBeClear: false },
    body: (own) => encodeTagged(ReplyContact, { ...own, Self: card }, 'json'),
  });
}
