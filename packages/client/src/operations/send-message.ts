import { nonceUdf } from '@meshd/crypto/udf';
import { messageBytesMax } from '@meshd/limits/limits';
import { contactCatalog } from '@meshd/schema/container-name';
import type { ProfileAccount } from '@meshd/schema/profiles';
import { accountKeys } from '../contact-entry.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { buildMessage } from '../message-build.js';
import { type OutgoingMessage, queueMessages } from '../outgoing.js';
import { requireCurrentKey } from './adopt-keys.js';
import { contactsOf } from './contacts.js';
import { type PostedMessage, postMessages } from './post-messages.js';
import { syncAccount } from './sync.js';

/** What is sent to each of some people. */
export interface MessageToSend {
  /** Canonical addresses. */
  readonly recipients: readonly string[];
  readonly type: string;
  /** The body of the message to one of them, as the tagged object in JSON. */
  body(members: { readonly MessageID: string; readonly Sender: string; readonly Recipient: string }): Uint8Array;
  /** Whether it may travel in clear to people whose keys are not known. */
  readonly mayBeClear: boolean;
  /** It travels in clear though keys are known: services on the way read it (semantics 8.1). */
  readonly isClear?: boolean | undefined;
  /** Accounts of recipients as the messages show them that are answered: people who are no contacts are written to by these. */
  readonly accounts?: ReadonlyMap<string, ProfileAccount> | undefined;
  /** Only put into the queue; nothing is sent. */
  readonly isOffline?: boolean | undefined;
}

/** A message to one recipient, and how far it has come. */
export interface SentMessage extends Omit<PostedMessage, 'state'> {
  readonly isEncrypted: boolean;
  /** `waiting`: on this device's disk, until there is a connection. */
  readonly state: PostedMessage['state'] | 'waiting';
}

/** What a command that sends came to. */
export interface SendResult {
  readonly messages: readonly SentMessage[];
  /** Messages of earlier commands that went out with these. */
  readonly earlierCount: number;
  /** Why some still wait; undefined where none does, or where they are to. */
  readonly interrupted: ClientError | undefined;
}

/** Types that open an acquaintance, and so cannot be encrypted to a key that is not known yet (semantics 8.1). */
const openingTypes: ReadonlySet<string> = new Set(['RequestContact']);

/** Types for which no command has a way in clear: what they carry would be worth nothing, or is nobody else's business. */
const neverClearTypes: ReadonlySet<string> = new Set(['RequestConfirmation', 'ResponseConfirmation', 'ReplyContact']);

/**
 * Sends a message to each recipient: one envelope a recipient, because a manifest shows its names to every service that gets
 * it (S71). They are on disk before they are sent. `sent` means that the own service has taken responsibility; what became of
 * the messages, marks tell.
 *
 * @throws ClientError `entry` where the key of a recipient is not known and the message must not travel in clear; what
 *   has nothing to do with the connection
 */
export async function sendMessage(device: Device, message: MessageToSend): Promise<SendResult> {
  const { home } = device.session;
  await requireNoEvidence(home);
  const missing = message.isOffline === true ? undefined : await whyNoContacts(device);
  const built = await buildMessages(device, message);
  await queueMessages(home, built);
  const isSending = message.isOffline !== true && missing === undefined;
  const { posted, interrupted } = isSending ? await postMessages(device) : { posted: [], interrupted: missing };
  const fates = new Map(posted.map((each) => [each.id, each]));
  const messages = built.map(({ id, recipient, isEncrypted }): SentMessage => {
    const waiting = { id, recipient, state: 'waiting', frameIndex: undefined, reason: undefined } as const;
    return { ...(fates.get(id) ?? waiting), isEncrypted };
  });
  const earlierCount = posted.filter(({ id }) => !built.some((each) => each.id === id)).length;
  return { messages, earlierCount, interrupted };
}

/**
 * Sends one message to one person, which something else depends on.
 * @throws ClientError `refused` where the own service does not take it
 */
export async function sendAnswer(device: Device, message: MessageToSend): Promise<SentMessage> {
  const [sent] = (await sendMessage(device, message)).messages;
  if (sent === undefined || sent.state === 'refused') {
    throw new ClientError('refused', `the answer was not taken: ${sent?.reason ?? 'nobody is to have it'}`);
  }
  return sent;
}

/** Brings the contacts up to date; without a connection those that are here will do. */
async function whyNoContacts(device: Device): Promise<ClientError | undefined> {
  try {
    await syncAccount(device, [contactCatalog]);
    return undefined;
  } catch (error) {
    if (error instanceof ClientError && (error.code === 'unavailable' || saysLater(error))) return error;
    throw error;
  }
}

/** Refusals that are about the moment: the service is busy, or being started. */
const laterStatuses: ReadonlySet<number | undefined> = new Set([408, 429, 500, 503, 504]);
const saysLater = ({ refusal }: ClientError): boolean => laterStatuses.has(refusal?.status);

async function buildMessages(device: Device, message: MessageToSend): Promise<OutgoingMessage[]> {
  await requireCurrentKey(device);
  const { state, identity, keys, environment } = device.session;
  const contacts = await contactsOf(device);
  const sender = {
    address: state.address,
    signer: keys.key('connectionSignature'),
    ...{ connectionAccount: identity.connectionAccount, profileAccount: identity.profileAccount },
  };
  const { type } = message;
  const createdMs = environment.nowMs();
  return message.recipients.map((recipient) => {
    const shown = contacts.get(recipient)?.account ?? message.accounts?.get(recipient);
    const account = message.isClear === true ? undefined : shown;
    const known = account && accountKeys(account).encryptionKey;
    if (known === undefined) requireClear(message, recipient);
    const id = nonceUdf(environment.random);
    const body = message.body({ MessageID: id, Sender: state.address, Recipient: recipient });
    const readers = known === undefined ? [] : [known, keys.key('accountEncryption').publicKey.raw];
    const draft = { type, body, uniqueId: id, recipient, readers };
    const envelope = buildMessage(draft, sender, { nowMs: createdMs, random: environment.random }, messageBytesMax);
    return { id, type, recipient, createdMs, isEncrypted: readers.length > 0, envelope };
  });
}

/**
 * Makes sure that messages to these people can be encrypted, before anything is done for them that takes long.
 * @throws ClientError `entry`
 */
export async function requireKnown(device: Device, recipients: readonly string[], type: string): Promise<void> {
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  for (const recipient of recipients) {
    const account = contacts.get(recipient)?.account;
    if (account === undefined || accountKeys(account).encryptionKey === undefined) {
      requireClear({ type, mayBeClear: false }, recipient);
    }
  }
}

function requireClear({ type, mayBeClear }: Pick<MessageToSend, 'type' | 'mayBeClear'>, recipient: string): void {
  if (mayBeClear || openingTypes.has(type)) return;
  const hint = neverClearTypes.has(type) ? '' : ', or send it --clear';
  throw new ClientError(
    'entry',
    `the key of ${recipient} is not known here: mesh contact request ${recipient} asks for it (or mesh contact import FILE)${hint}`,
  );
}
