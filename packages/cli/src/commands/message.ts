/** `mesh message send|list|show`: what is sent to other people, and what came from them. */
import { basename } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { type Mark, markMessages } from '@meshd/client/operations/message-marks';
import { type Box, findMessage, type ListedMessage, listMessages } from '@meshd/client/operations/messages';
import { sendMessage } from '@meshd/client/operations/send-message';
import { type SenderStanding, senderStandings } from '@meshd/client/operations/sender-standing';
import type { WaitingMessage } from '@meshd/client/outgoing';
import { writeJson } from '@meshd/encoding/json-writer';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { addressArgument, withEnvironment } from '../device-environment.js';
import { contentText, fileOf, membersOf } from '../message-content.js';
import {
  changedSendersText,
  identityNoticeJson,
  identityNoticesText,
  type Standings,
  senderText,
  standingJson,
  standingTexts,
} from '../sender-text.js';
import { sentJson, sentText } from '../sent-text.js';
import { textTable } from '../table.js';
import { isoTime, timeText } from '../when.js';
import { registerLargeCommands, sendLargeFile } from './message-large.js';

interface SendFlags {
  readonly type?: string;
  readonly file?: string;
  readonly large?: string;
  readonly keep?: string;
  readonly clear?: boolean;
  readonly offline?: boolean;
}

const typeForm = /^[A-Za-z][A-Za-z0-9-]{0,62}$/;
/** Under what name standard input is sent. */
const standardInputName = 'stdin';

async function send(io: CommandIo, accounts: readonly string[], flags: SendFlags): Promise<void> {
  const { type, file, large, clear = false, offline: isOffline = false } = flags;
  const recipients = [...new Set(accounts.map(addressArgument))];
  if (large !== undefined) {
    if (type !== undefined || file !== undefined || clear || isOffline) {
      throw new UsageError('--large stands without --type, --file, --clear and --offline');
    }
    return sendLargeFile(io, recipients, large, flags.keep);
  }
  if (type === undefined) throw new UsageError('say what kind of message it is: --type NAME, or --large FILE');
  if (!typeForm.test(type)) throw new UsageError(`--type takes a name of letters and digits, not ${type}`);
  const name = file === '-' ? standardInputName : basename(file ?? '');
  const members = file === undefined ? {} : membersOf(await io.readFile(file), name);
  const { messages, earlierCount, interrupted } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) =>
      sendMessage(device, {
        ...{ recipients, type, isOffline, mayBeClear: clear },
        body: (own) => writeJson({ [type]: { ...members, ...own } }),
      }),
    ),
  );
  if (messages.some(({ state }) => state === 'refused')) io.setExitCode(1);
  const waiting = interrupted?.message;
  io.print({ messages: messages.map(sentJson), earlier: earlierCount, waiting }, () => {
    const earlier = earlierCount === 0 ? [] : [`${earlierCount} that waited here sent before`];
    return [...earlier, ...messages.map(sentText)].join('\n');
  });
  if (waiting !== undefined) io.note(`${waiting}; what waits here is sent by: mesh account sync`);
}

const boxes = ['inbound', 'outbound'] as const;

function boxArgument(text: string | undefined): Box {
  const box = boxes.find((each) => each === (text ?? 'inbound'));
  if (box === undefined) throw new UsageError(`--box takes inbound or outbound, not ${text}`);
  return box;
}

/** A message as `--json` has it. */
export function messageJson(message: ListedMessage) {
  const { box, id, type, sender, recipients, frameIndex, createdMs, isRead, isEncrypted, deliveries } = message;
  const { isDeleted, decision = null, isUnderFormerKey: formerKey } = message;
  return {
    ...{ box, id, type, sender, recipients, index: frameIndex, created: isoTime(createdMs) },
    ...{
      read: isRead,
      deleted: isDeleted,
      decision,
      encrypted: isEncrypted,
      formerKey,
      deliveries: deliveries.map(deliveryJson),
    },
  };
}

const shownJson = (message: ListedMessage, standings: Standings) => ({
  ...messageJson(message),
  ...standingJson(standings.get(message)),
});

/** A delivery as `--json` has it. */
export function deliveryJson({ account, result, statusExtended, receiptMs }: ListedMessage['deliveries'][number]) {
  return { account, result, statusExtended, receipt: receiptMs !== undefined, received: isoTime(receiptMs) };
}

/** A message that the service has not taken, as `--json` has it. */
export function unsentJson({ id, type, recipient, createdMs, isEncrypted, attempt, refusal }: WaitingMessage) {
  return {
    ...{ id, type, recipients: [recipient], created: isoTime(createdMs), encrypted: isEncrypted },
    ...{ state: refusal === undefined ? 'waiting' : 'refused', lastAttempt: isoTime(attempt?.sentMs) },
    reason: refusal?.reason,
  };
}

const resultsOf = ({ deliveries }: ListedMessage) => deliveries.map(({ result }) => result).join(', ');

/** What the account's devices have made of a message that came. */
export function inboundState({ isDeleted, decision, isRead }: ListedMessage): string {
  if (isDeleted) return 'deleted';
  return decision ?? (isRead ? 'read' : 'new');
}

function rowOf(message: ListedMessage, standing: SenderStanding | undefined): string[] {
  const { box, createdMs, type, sender, recipients, id } = message;
  const isInbound = box === 'inbound';
  const who = isInbound ? sender : recipients.join(' ');
  const warning = standing?.standing === 'changed' ? `, ${standingTexts.changed}` : '';
  return [timeText(createdMs), who, type, isInbound ? inboundState(message) + warning : resultsOf(message), id];
}

function unsentRow({ createdMs, recipient, type, refusal, id }: WaitingMessage): string[] {
  return [timeText(createdMs), recipient, type, refusal === undefined ? 'waits here' : 'not taken', id];
}

/** What to do about those who have not heard of the newer key; nothing where all have. */
function formerKeyText(messages: readonly ListedMessage[]): string[] {
  const senders = new Set(messages.filter(({ isUnderFormerKey }) => isUnderFormerKey).map(({ sender }) => sender));
  if (senders.size === 0) return [];
  return [
    `still written to a former key of yours: by ${[...senders].join(', ')}; mesh contact tell sends the newer one`,
  ];
}

interface ListFlags {
  readonly box?: string;
  readonly all?: boolean;
}

async function list(io: CommandIo, flags: ListFlags): Promise<void> {
  const box = boxArgument(flags.box);
  const { messages, standings, unsent, refused, identityChanged } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const found = await listMessages(device, box);
      const isListed = ({ isDeleted }: { readonly isDeleted: boolean }) => flags.all === true || !isDeleted;
      const listed = found.messages.filter(isListed);
      const notices = found.identityChanged.filter(isListed);
      const standings = await senderStandings(device, listed);
      return { ...found, messages: listed, identityChanged: notices, standings };
    }),
  );
  const shown = messages.map((message) => shownJson(message, standings));
  const noticed = identityChanged.length === 0 ? {} : { identityChanged: identityChanged.map(identityNoticeJson) };
  io.print({ box, messages: shown, unsent: unsent.map(unsentJson), refused, ...noticed }, () => {
    const notices = identityNoticesText(identityChanged);
    if (messages.length + unsent.length + refused.length === 0) return [`no ${box} messages`, ...notices].join('\n');
    const head = ['time (UTC)', box === 'inbound' ? 'from' : 'to', 'type', 'state', 'id'];
    const table = textTable(head, [
      ...messages.map((message) => rowOf(message, standings.get(message))),
      ...unsent.map(unsentRow),
    ]);
    const hidden = refused.map(({ frameIndex, reason }) => `frame ${frameIndex} is not shown: ${reason}`);
    return [table, ...changedSendersText(messages, standings), ...notices, ...formerKeyText(messages), ...hidden].join(
      '\n',
    );
  });
}

async function show(io: CommandIo, id: string, flags: { readonly out?: string }): Promise<void> {
  const { message, standings } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const found = await findMessage(device, id, boxes);
      return { message: found, standings: await senderStandings(device, [found]) };
    }),
  );
  const { body, type, sender, recipients, createdMs, isEncrypted } = message;
  const file = body && fileOf(body);
  if (flags.out !== undefined) {
    if (file === undefined) throw new UsageError(`there is no file in the message ${id}`);
    if (io.json && flags.out === '-')
      throw new UsageError('--json prints one document: --out takes the name of a file');
    await io.writeFile(flags.out, file.content, { mode: 0o600 });
    if (flags.out === '-') return;
  }
  io.print({ ...shownJson(message, standings), body }, () =>
    [
      `${type} from ${sender} to ${recipients.join(', ')}`,
      `${timeText(createdMs)} UTC, ${isEncrypted ? 'encrypted' : 'in clear'}, signature verified`,
      ...senderText(message, standings.get(message)),
      ...formerKeyText([message]),
      body === undefined ? 'the body was left out' : contentText(body),
      ...(flags.out === undefined ? [] : [`written to ${flags.out}`]),
    ].join('\n'),
  );
}

async function mark(io: CommandIo, ids: readonly string[], said: Mark): Promise<void> {
  const marked = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => markMessages(device, ids, said)),
  );
  const state = said.toLowerCase();
  io.print({ ids: marked, state }, () => marked.map((id) => `${id} is ${state}`).join('\n'));
}

const sendExamples = `
Examples:
  mesh message send bob@beta.test --type Note --file note.txt
  echo '{"Text": "lunch?"}' | mesh message send bob@beta.test carol@alpha.test --type Note --file -
  mesh message send dave@gamma.test --type RequestContact
  mesh message send bob@beta.test --type Note --file note.txt --offline     (sent by the next: mesh account sync)

It is on this device's disk before it is sent. "sent" means that your own provider has taken it;
mesh message status ID says what became of it.`;

/** Adds to the group of the program. */
export function registerMessageCommands(program: Command, io: CommandIo): void {
  const message = commandGroup(program, 'message', 'messages to and from other people');
  message
    .command('send')
    .description('send a message: encrypted to each recipient, signed by this device')
    .argument('<account...>', 'recipients, NAME@DOMAIN')
    .option('--type <name>', 'kind of the message, for example RequestContact or Note')
    .option('--file <file>', 'members of the message as a JSON object, or any other file; - is standard input')
    .option('--large <file>', 'a file of any size: stored at your service, fetched from there by the recipients')
    .option('--keep <days>', 'how long your service keeps it (default: as the service decides)')
    .option('--clear', 'let it travel in clear to people whose keys are not known here')
    .option('--offline', 'only put it into the queue; the next mesh account sync sends it')
    .addHelpText('after', sendExamples)
    .action((accounts: string[], flags: SendFlags) => send(io, accounts, flags));
  message
    .command('list')
    .description('the messages of a box, each verified')
    .option('--box <box>', 'inbound or outbound (default: inbound)')
    .option('--all', 'deleted ones too')
    .addHelpText('after', '\nExamples:\n  mesh message list\n  mesh message list --box outbound --json')
    .action((flags: ListFlags) => list(io, flags));
  message
    .command('show')
    .description('one message with its content')
    .argument('<id>', 'its identifier, as mesh message list shows it')
    .option('--out <file>', 'write the file in the message here; - is standard output')
    .addHelpText('after', '\nExamples:\n  mesh message show NCUQ-…\n  mesh message show NCUQ-… --out photo.jpg')
    .action((id: string, flags: { readonly out?: string }) => show(io, id, flags));
  message
    .command('read')
    .description('mark messages as read, on all devices')
    .argument('<id...>', 'identifiers, or the beginnings of them')
    .option('--unread', 'as not read yet')
    .action((ids: string[], { unread = false }: { readonly unread?: boolean }) =>
      mark(io, ids, unread ? 'Unread' : 'Read'),
    );
  message
    .command('delete')
    .description(
      'mark messages as deleted, on all devices; mesh message read brings them back while the service has them',
    )
    .argument('<id...>', 'identifiers, or the beginnings of them')
    .action((ids: string[]) => mark(io, ids, 'Deleted'));
  registerLargeCommands(message, io);
}
