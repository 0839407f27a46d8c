import { nonceUdf } from '@meshd/crypto/udf';
import { messageBytesMax } from '@meshd/limits/limits';
import type { EntryResponse } from '@meshd/schema/common';
import { contactCatalog } from '@meshd/schema/container-name';
import { accountKeys } from '../contact-entry.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { buildMessage } from '../message-build.js';
import { requireSuccess } from '../session.js';
import { contactsOf } from './contacts.js';
import { syncAccount } from './sync.js';

/** What is sent to each of some people. */
export interface OutgoingMessage {
  /** Canonical addresses. */
  readonly recipients: readonly string[];
  readonly type: string;
  /** The body of the message to one of them, as the tagged object in JSON. */
  body(members: { readonly MessageID: string; readonly Sender: string; readonly Recipient: string }): Uint8Array;
  /** Whether it may travel in clear to people whose keys are not known. */
  readonly mayBeClear: boolean;
}

/** A message that the service took. */
export interface SentMessage {
  /** `UniqueID` and `MessageID`. */
  readonly id: string;
  readonly recipient: string;
  readonly isEncrypted: boolean;
  /** Frame in `mmm_Outbound`. */
  readonly frameIndex: number | undefined;
}

/** Types that open an acquaintance, and so cannot be encrypted to a key that is not known yet (semantics 8.1). */
const openingTypes: ReadonlySet<string> = new Set(['RequestContact']);

/**
 * Sends a message to each recipient: one envelope a recipient, because a manifest shows its names to every service that gets
 * it (S71). Success means that the own service has taken responsibility; what became of the messages, marks tell.
 *
 * @throws ClientError `entry` where the key of a recipient is not known and the message must not travel in clear; `refused`
 */
export async function sendMessage(device: Device, message: OutgoingMessage): Promise<SentMessage[]> {
  const { session } = device;
  const { state, identity, keys, environment } = session;
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const sender = {
    address: state.address,
    signer: keys.key('connectionSignature'),
    ...{ connectionAccount: identity.connectionAccount, profileAccount: identity.profileAccount },
  };
  const maker = { nowMs: environment.nowMs(), random: environment.random };
  const drafts = message.recipients.map((recipient) => {
    const account = contacts.get(recipient)?.account;
    const known = account && accountKeys(account).encryptionKey;
    if (known === undefined) requireClear(message, recipient);
    const uniqueId = nonceUdf(environment.random);
    const body = message.body({ MessageID: uniqueId, Sender: state.address, Recipient: recipient });
    const readers = known === undefined ? [] : [known, keys.key('accountEncryption').publicKey.raw];
    return { type: message.type, body, uniqueId, recipient, readers };
  });
  const sent: SentMessage[] = [];
  for (const draft of drafts) {
    const envelope = buildMessage(draft, sender, maker, messageBytesMax);
    const response = await session.call('Post', { Accounts: [draft.recipient], Message: [envelope] });
    requireSuccess(`the message to ${draft.recipient}`, response);
    const entry = response.message.Entries?.[0];
    requireAccepted(draft.recipient, entry);
    const { uniqueId: id, recipient, readers } = draft;
    sent.push({ id, recipient, isEncrypted: readers.length > 0, frameIndex: entry?.IndexContainer });
    environment.progress('sending', sent.length, drafts.length);
  }
  return sent;
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

function requireClear({ type, mayBeClear }: Pick<OutgoingMessage, 'type' | 'mayBeClear'>, recipient: string): void {
  if (mayBeClear || openingTypes.has(type)) return;
  throw new ClientError(
    'entry',
    `the key of ${recipient} is not known here: mesh contact allow ${recipient} --card FILE, or send it --clear`,
  );
}

function requireAccepted(recipient: string, entry: EntryResponse | undefined): void {
  if (entry?.Result === 'Accept') return;
  const code = entry?.StatusExtended === undefined ? '' : ` (${entry.StatusExtended})`;
  throw new ClientError('refused', `the service does not take the message to ${recipient}${code}`);
}
