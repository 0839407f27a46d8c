/** `mesh message`: what is sent to other people, what came from them, and what became of either. */
import { basename } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { type Box, findMessage, type ListedMessage, listMessages } from '@meshd/client/operations/messages';
import { sendMessage } from '@meshd/client/operations/send-message';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { addressArgument, withEnvironment } from '../device-environment.js';
import { textTable } from '../table.js';
import { registerLargeCommands, sendLargeFile } from './message-large.js';

interface SendFlags {
  readonly type?: string;
  readonly file?: string;
  readonly large?: string;
  readonly keep?: string;
  readonly clear?: boolean;
}

const typeForm = /^[A-Za-z][A-Za-z0-9-]{0,62}$/;

/**
 * Members of the message from a file: those of a JSON object as they stand, any other file as `Name` and `Content`.
 */
function membersOf(octets: Uint8Array, name: string): JsonObject {
  try {
    const value = parseJson(octets);
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
    if (isObject && !(value instanceof Uint8Array)) return value;
  } catch {
    // Any other file is sent as it is.
  }
  return { Name: name, Content: Buffer.from(octets).toString('base64url') };
}

async function send(io: CommandIo, accounts: readonly string[], flags: SendFlags): Promise<void> {
  const recipients = [...new Set(accounts.map(addressArgument))];
  const { type, large } = flags;
  if (large !== undefined) {
    if (type !== undefined || flags.file !== undefined || flags.clear === true) {
      throw new UsageError('--large stands without --type, --file and --clear');
    }
    return sendLargeFile(io, recipients, large, flags.keep);
  }
  if (type === undefined) throw new UsageError('say what kind of message it is: --type NAME, or --large FILE');
  if (!typeForm.test(type)) throw new UsageError(`--type takes a name of letters and digits, not ${type}`);
  const members = flags.file === undefined ? {} : membersOf(await io.readFile(flags.file), basename(flags.file));
  const sent = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) =>
      sendMessage(device, {
        ...{ recipients, type, mayBeClear: flags.clear === true },
        body: (own) => writeJson({ [type]: { ...members, ...own } }),
      }),
    ),
  );
  const messages = sent.map(({ id, recipient, isEncrypted, frameIndex }) => ({
    ...{ id, recipient, encrypted: isEncrypted, index: frameIndex },
  }));
  io.print({ messages }, () =>
    messages
      .map(
        ({ id, recipient, encrypted }) => `to ${recipient}${encrypted ? '' : ', in clear'}: mesh message status ${id}`,
      )
      .join('\n'),
  );
}

const boxes = ['inbound', 'outbound'] as const;

function boxArgument(text: string | undefined): Box {
  const box = boxes.find((each) => each === (text ?? 'inbound'));
  if (box === undefined) throw new UsageError(`--box takes inbound or outbound, not ${text}`);
  return box;
}

function messageJson({ body: _body, account: _account, kind: _kind, ...message }: ListedMessage) {
  const { frameIndex, createdMs, isRead, isEncrypted, deliveries, ...rest } = message;
  return {
    ...rest,
    ...{ index: frameIndex, created: new Date(createdMs).toISOString(), read: isRead, encrypted: isEncrypted },
    ...{ deliveries: deliveries.map(({ hasReceipt, ...delivery }) => ({ ...delivery, receipt: hasReceipt })) },
  };
}

const resultsOf = ({ deliveries }: ListedMessage) => deliveries.map(({ result }) => result).join(', ');

async function list(io: CommandIo, flags: { readonly box?: string }): Promise<void> {
  const box = boxArgument(flags.box);
  const { messages, refused } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => listMessages(device, box)),
  );
  io.print({ box, messages: messages.map(messageJson), refused }, () => {
    if (messages.length + refused.length === 0) return `${box}: no messages`;
    const rows = messages.map((message) => {
      const { createdMs, type, sender, recipients, id, isRead } = message;
      const time = new Date(createdMs).toISOString().slice(0, 16).replace('T', ' ');
      const [who, state] =
        box === 'inbound' ? [sender, isRead ? 'read' : 'new'] : [recipients.join(' '), resultsOf(message)];
      return [time, who, type, state, id];
    });
    const table = textTable(['time', box === 'inbound' ? 'from' : 'to', 'type', '', 'id'], rows);
    return [table, ...refused.map(({ frameIndex, reason }) => `frame ${frameIndex} is not shown: ${reason}`)].join(
      '\n',
    );
  });
}

async function show(io: CommandIo, id: string): Promise<void> {
  const message = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => findMessage(device, id, boxes)),
  );
  io.print({ ...messageJson(message), body: message.body }, () =>
    [
      `${message.type} from ${message.sender} to ${message.recipients.join(', ')}`,
      `${new Date(message.createdMs).toISOString()}, ${message.isEncrypted ? 'encrypted' : 'in clear'}, signature verified`,
      message.body === undefined ? 'the body was left out' : JSON.stringify(message.body, undefined, 2),
    ].join('\n'),
  );
}

/** Adds the group to the program. */
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
    .action((accounts: string[], flags: SendFlags) => send(io, accounts, flags));
  message
    .command('list')
    .description('the messages of a box, each verified')
    .option('--box <box>', 'inbound or outbound (default: inbound)')
    .action((flags: { readonly box?: string }) => list(io, flags));
  message
    .command('show')
    .description('one message with its content')
    .argument('<id>', 'its identifier, as mesh message list shows it')
    .action((id: string) => show(io, id));
  registerLargeCommands(message, io);
}
