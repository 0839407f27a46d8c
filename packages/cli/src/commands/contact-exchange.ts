/** `mesh contact request|pending|accept|reject`: asking to be known, and being asked. */
import { type Device, withDevice } from '@meshd/client/device';
import {
  acceptContact,
  type ContactRequest,
  pendingContacts,
  rejectContact,
  requestContact,
  type TakenReply,
  takeReplies,
  tellContacts,
} from '@meshd/client/operations/contact-exchange';
import { isContactLink, readContactLink } from '@meshd/client/people/contact-link';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import type { CommandIo } from '../command-io.js';
import { compareText, contactJson, typesArgument } from '../contact-text.js';
import { addressArgument, withEnvironment } from '../device-environment.js';
import { standingTexts } from '../sender-text.js';
import { sentJson, sentText } from '../sent-text.js';
import { shownText, textTable } from '../table.js';
import { isoTime, timeText } from '../when.js';

function within<T>(io: CommandIo, work: (device: Device) => Promise<T>): Promise<T> {
  return withEnvironment(io, (environment) => withDevice(io.home, environment, work));
}

/** Tells of people who have answered a request of ours, and of answers that were refused. */
export function noteReplies(io: CommandIo, replies: readonly TakenReply[]): void {
  for (const { sender, contact, reason } of replies) {
    io.note(contact === undefined ? `the answer of ${sender} is refused: ${reason}` : `${sender} is a contact now`);
  }
}

interface RequestFlags {
  readonly subject?: string;
  readonly reply: boolean;
}

async function request(io: CommandIo, text: string, { subject, reply: wantsReply }: RequestFlags): Promise<void> {
  const asked = isContactLink(text) ? readContactLink(text) : { address: addressArgument(text), accountUdf: undefined };
  const { address, accountUdf: expectedUdf } = asked;
  const { messages, interrupted } = await within(io, (device) =>
    requestContact(device, { address, expectedUdf, subject, wantsReply }),
  );
  if (messages.some(({ state }) => state === 'refused')) io.setExitCode(1);
  io.print({ messages: messages.map(sentJson), waiting: interrupted?.message, expected: expectedUdf ?? null }, () => {
    const next = 'what comes back is filed by the next: mesh account sync, or mesh contact list';
    return [...messages.map(sentText), ...(wantsReply ? [next] : [])].join('\n');
  });
}

/** A request as `--json` has it. */
function requestJson({ message, introduction, standing, code }: ContactRequest) {
  const { card, subject, wantsReply } = introduction;
  const who = { address: card.address, name: card.name, account: card.accountUdf };
  return { id: message.id, ...who, subject, reply: wantsReply, standing, code, created: isoTime(message.createdMs) };
}

async function pending(io: CommandIo): Promise<void> {
  const { replies, found } = await within(io, async (device) => {
    const taken = await takeReplies(device);
    return { replies: taken, found: await pendingContacts(device) };
  });
  noteReplies(io, replies);
  const { requests, refused } = found;
  io.print({ requests: requests.map(requestJson), refused }, () => {
    const hidden = refused.map(({ id, sender, reason }) => `${id} of ${sender} shows nobody: ${shownText(reason)}`);
    if (requests.length === 0) return ['nobody waits to be a contact', ...hidden].join('\n');
    const rows = requests.map(({ message, introduction: { card, subject }, standing }) => [
      ...[message.id.slice(0, 14), timeText(message.createdMs), card.name, card.address, subject],
      standingTexts[standing],
    ]);
    const table = textTable(['id', 'time (UTC)', 'says it is', 'account', 'subject', ''], rows);
    return [table, ...hidden, 'mesh contact accept ID, or mesh contact reject ID'].join('\n');
  });
}

interface AcceptFlags {
  readonly types?: string;
  readonly name?: string;
}

async function accept(io: CommandIo, id: string, flags: AcceptFlags): Promise<void> {
  const accepting = { permissions: typesArgument(flags.types), name: flags.name };
  const { contact, code, reply } = await within(io, (device) => acceptContact(device, id, accepting));
  io.print({ ...contactJson(contact), code, reply: reply === undefined ? null : sentJson(reply) }, () =>
    [
      contact.name === '' ? `${contact.address} is a contact` : `${contact.name} is a contact: ${contact.address}`,
      ...(reply === undefined ? [] : [`your card: ${sentText(reply)}`]),
      ...(contact.isVerified ? [] : [compareText(contact.address, code)]),
    ].join('\n'),
  );
}

async function reject(io: CommandIo, id: string): Promise<void> {
  const rejected = await within(io, (device) => rejectContact(device, id));
  const { sender } = rejected;
  io.print({ id: rejected.id, address: sender }, `the request of ${sender} is rejected; it is told nothing`);
}

async function tell(io: CommandIo, accounts: readonly string[]): Promise<void> {
  const addresses = accounts.length === 0 ? undefined : [...new Set(accounts.map(addressArgument))];
  const { messages, interrupted } = await within(io, (device) => tellContacts(device, addresses));
  if (messages.some(({ state }) => state === 'refused')) io.setExitCode(1);
  io.print({ messages: messages.map(sentJson), waiting: interrupted?.message }, () =>
    messages.length === 0 ? 'there is nobody to tell: no key of a contact is known' : messages.map(sentText).join('\n'),
  );
}

const requestHelp = `
To an account whose key is not known here the request goes in clear, signed. A LINK is what a QR code of mesh contact card
--qr says: with it only that very account can answer.

Examples:
  mesh contact request bob@beta.test --subject "Alice, from the choir"
  mesh contact request 'mmm:bob@beta.test?account=MDBJ-Z3NH-5TYB-HFXV-CRI3-IW56-VOTH'`;

/** Adds to the group of the program. */
export function registerContactExchangeCommands(program: Command, io: CommandIo): void {
  const contact = commandGroup(program, 'contact', 'people, and whose messages are taken');
  contact
    .command('request')
    .description('ask somebody to be known, and send your card')
    .argument('<account>', 'NAME@DOMAIN, or a link')
    .option('--subject <text>', 'what the other one reads beside your name')
    .option('--no-reply', 'only send your card: none is wanted back')
    .addHelpText('after', requestHelp)
    .action((text: string, flags: RequestFlags) => request(io, text, flags));
  contact
    .command('tell')
    .description('send your card, as it is now, to people who know you')
    .argument('[account...]', 'NAME@DOMAIN (default: everybody whose key is known)')
    .addHelpText('after', '\nExamples:\n  mesh contact tell\n  mesh contact tell bob@beta.test')
    .action((accounts: string[]) => tell(io, accounts));
  contact
    .command('pending')
    .description('people who ask to be known, each card verified')
    .action(() => pending(io));
  contact
    .command('accept')
    .description('keep a person who has asked, and send your card where it is wanted')
    .argument('<id>', 'of the request, or the beginning of it')
    .option('--types <list>', 'message types that are taken, with commas between them (default: all)')
    .option('--name <text>', 'how you call the person')
    .action((id: string, flags: AcceptFlags) => accept(io, id, flags));
  contact
    .command('reject')
    .description('say no; the other one is told nothing')
    .argument('<id>', 'of the request, or the beginning of it')
    .action((id: string) => reject(io, id));
}
