/** `mesh confirm`: asking somebody to confirm something, and answering. */
import { type Device, withDevice } from '@meshd/client/device';
import {
  type AskedConfirmation,
  answerConfirmation,
  askedConfirmation,
  askedConfirmations,
  type PendingConfirmation,
  pendingConfirmations,
  requestConfirmation,
} from '@meshd/client/operations/confirmations';
import { confirmationLifeMs, confirmationLifeMsMax } from '@meshd/limits/client';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { addressArgument, withEnvironment } from '../device-environment.js';
import { currentMs } from '../environment.js';
import { sentJson, sentText } from '../sent-text.js';
import { shownText, textTable } from '../table.js';
import { durationText, isoTime, timeText } from '../when.js';

function within<T>(io: CommandIo, work: (device: Device) => Promise<T>): Promise<T> {
  return withEnvironment(io, (environment) => withDevice(io.home, environment, work));
}

const minuteMs = 60_000;
const unitsMs: Readonly<Record<string, number>> = { m: minuteMs, h: 60 * minuteMs };
const hours = (ms: number): string => `${ms / (60 * minuteMs)}h`;

function lifeMsOf(expires: string | undefined): number | undefined {
  if (expires === undefined) return undefined;
  const [, count, unit = ''] = /^(\d{1,4})([mh])$/.exec(expires) ?? [];
  const lifeMs = Number(count) * (unitsMs[unit] ?? Number.NaN);
  if (!(lifeMs > 0 && lifeMs <= confirmationLifeMsMax)) {
    throw new UsageError(`--expires takes 1m to ${hours(confirmationLifeMsMax)}`);
  }
  return lifeMs;
}

async function request(io: CommandIo, account: string, text: string, expires: string | undefined): Promise<void> {
  const question = { address: addressArgument(account), text, lifeMs: lifeMsOf(expires) };
  const { messages, interrupted } = await within(io, (device) => requestConfirmation(device, question));
  if (messages.some(({ state }) => state === 'refused')) io.setExitCode(1);
  io.print({ messages: messages.map(sentJson), waiting: interrupted?.message }, () =>
    [...messages.map(sentText), ...messages.map(({ id }) => `the answer: mesh confirm status ${id}`)].join('\n'),
  );
}

function pendingJson({ message, text, expiresMs }: PendingConfirmation) {
  const { id, sender, createdMs } = message;
  return { id, sender, text, created: isoTime(createdMs), expires: isoTime(expiresMs) };
}

async function pending(io: CommandIo): Promise<void> {
  const found = await within(io, pendingConfirmations);
  io.print({ requests: found.map(pendingJson) }, () => {
    if (found.length === 0) return 'nobody waits for a confirmation';
    const nowMs = currentMs();
    const rows = found.map(({ message, text, expiresMs }) => [
      ...[message.id.slice(0, 14), timeText(message.createdMs), message.sender, text],
      expiresMs === undefined ? '' : `${durationText(expiresMs - nowMs)} left`,
    ]);
    const table = textTable(['id', 'time (UTC)', 'from', 'asks you to confirm', ''], rows);
    return [table, 'mesh confirm accept ID, or mesh confirm reject ID'].join('\n');
  });
}

async function answer(io: CommandIo, id: string, accept: boolean): Promise<void> {
  const given = await within(io, (device) => answerConfirmation(device, id, accept));
  const { message, text, response } = given;
  const sent = response === undefined ? null : sentJson(response);
  io.print({ id: message.id, sender: message.sender, text, accept: given.accept, response: sent }, () => {
    const said = given.accept ? 'confirmed' : 'rejected';
    const before = response === undefined ? ' (the answer had been sent before)' : '';
    return [
      `${said} to ${message.sender}: ${shownText(text)}${before}`,
      ...(response ? [sentText(response)] : []),
    ].join('\n');
  });
}

function askedJson({ message, text, expiresMs, state, answer: given, refused }: AskedConfirmation) {
  const { id, recipients, createdMs } = message;
  return {
    ...{ id, recipient: recipients[0], text, state, created: isoTime(createdMs), expires: isoTime(expiresMs) },
    ...{ answered: isoTime(given?.answeredMs), response: given?.id ?? null, refused },
  };
}

async function status(io: CommandIo, id: string): Promise<void> {
  const asked = await within(io, (device) => askedConfirmation(device, id));
  io.print(askedJson(asked), () => {
    const { message, text, state, answer: given, refused } = asked;
    const when = given === undefined ? '' : `, ${timeText(given.answeredMs)} UTC`;
    return [
      `${state}${when}`,
      `asked of ${message.recipients.join(', ')}: ${shownText(text)}`,
      ...refused.map((each) => `a response does not count (${each.id}): ${shownText(each.reason)}`),
    ].join('\n');
  });
}

async function list(io: CommandIo): Promise<void> {
  const asked = await within(io, askedConfirmations);
  io.print({ requests: asked.map(askedJson) }, () => {
    if (asked.length === 0) return 'nothing was asked from here';
    const rows = asked.map(({ message, text, state }) => [
      ...[message.id.slice(0, 14), timeText(message.createdMs), message.recipients.join(' '), state, text],
    ]);
    return textTable(['id', 'time (UTC)', 'of', 'state', 'text'], rows);
  });
}

const requestHelp = `
The question goes encrypted to a person whom you know, and the answer comes back signed by one of his devices that may
confirm. It counts once, and only for this very question.

Examples:
  mesh confirm request bob@beta.test "Transfer 250 to the choir?"
  mesh confirm request bob@beta.test "Open the gate?" --expires 10m`;

/** Adds the group to the program. */
export function registerConfirmCommands(program: Command, io: CommandIo): void {
  const confirm = commandGroup(program, 'confirm', 'questions to people, and answers to theirs');
  confirm
    .command('request')
    .description('ask somebody to confirm something')
    .argument('<account>', 'NAME@DOMAIN')
    .argument('<text>', 'what is to be confirmed')
    .option(
      '--expires <time>',
      `how long it may be answered, 1m to ${hours(confirmationLifeMsMax)} (default: ${hours(confirmationLifeMs)})`,
    )
    .addHelpText('after', requestHelp)
    .action((account: string, text: string, { expires }: { readonly expires?: string }) =>
      request(io, account, text, expires),
    );
  confirm
    .command('pending')
    .description('what others ask you to confirm')
    .action(() => pending(io));
  confirm
    .command('accept')
    .description('say yes')
    .argument('<id>', 'of the request, or the beginning of it')
    .action((id: string) => answer(io, id, true));
  confirm
    .command('reject')
    .description('say no')
    .argument('<id>', 'of the request, or the beginning of it')
    .action((id: string) => answer(io, id, false));
  confirm
    .command('status')
    .description('what became of a question of yours')
    .argument('<id>', 'as mesh confirm request and list show it')
    .action((id: string) => status(io, id));
  confirm
    .command('list')
    .description('all questions of yours')
    .action(() => list(io));
}
