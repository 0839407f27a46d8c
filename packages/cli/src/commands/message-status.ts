/** `mesh message status`: where a message is, and why. */
import { withDevice } from '@meshd/client/device';
import { type DeliveryStatus, type MessageStatus, messageStatus } from '@meshd/client/operations/message-status';
import type { ListedMessage } from '@meshd/client/operations/messages';
import type { WaitingMessage } from '@meshd/client/outgoing';
import { refusalText } from '@meshd/client/refusal-text';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import type { CommandIo } from '../command-io.js';
import { withEnvironment } from '../device-environment.js';
import { currentMs } from '../environment.js';
import { failureText } from '../failure-text.js';
import { terminalControls } from '../table.js';
import { durationText, isoTime, timeText } from '../when.js';
import { deliveryJson, inboundState, messageJson, unsentJson } from './message.js';

const attemptsText = (count: number) => (count === 1 ? '1 attempt' : `${count} attempts`);

/** Of a delivery that has not ended. Reasons are words of our own services, which may repeat those of others. */
function queuedText({ queued }: DeliveryStatus, nowMs: number): string[] {
  if (queued === undefined) return ['your provider has it and will deliver it'];
  const { attempts, nextAttemptMs, expiresMs, reason } = queued;
  const isHeld = reason === 'held';
  const last = isHeld
    ? 'your provider holds everything for this destination'
    : reason && `the last one failed: ${failureText(reason)}`;
  const next = nextAttemptMs === undefined ? 'at once' : `in ${durationText(nextAttemptMs - nowMs)}`;
  return [
    [attemptsText(attempts), last].filter(Boolean).join(', ').replace(terminalControls, '\ufffd'),
    ...(isHeld ? [] : [`next attempt ${next}`]),
    ...(expiresMs === undefined ? [] : [`given up in ${durationText(expiresMs - nowMs)}`]),
  ];
}

/** Lines about one recipient, the first one the result. */
function deliveryLines(delivery: DeliveryStatus, nowMs: number): [string, ...string[]] {
  const { account, result, statusExtended, receiptMs } = delivery;
  const domain = account.slice(account.lastIndexOf('@') + 1);
  switch (result) {
    case 'delivered':
      return [result, `${domain} signed for it${receiptMs === undefined ? '' : ` at ${timeText(receiptMs)} UTC`}`];
    case 'sent':
      return [result, `${domain} has taken it, and signs for nothing`];
    case 'refused':
      return [result, refusalText(statusExtended)];
    case 'expired':
      return [
        result,
        `${domain} did not take it in time; send it again if it still matters`,
        ...(statusExtended ? [`when it was tried last: ${refusalText(statusExtended)}`] : []),
      ];
    default:
      return [result, ...queuedText(delivery, nowMs)];
  }
}

function here(message: WaitingMessage): [string, ...string[]] {
  const { attempt, refusal } = message;
  if (refusal !== undefined) return ['not taken', refusal.reason];
  const tried = attempt === undefined ? 'not tried yet' : `last tried at ${timeText(attempt.sentMs)} UTC`;
  return ['waits here', `${tried}; mesh account sync sends it`];
}

const heading = (type: string, from: string, createdMs: number, isEncrypted: boolean) =>
  `${type} ${from}, ${timeText(createdMs)} UTC, ${isEncrypted ? 'encrypted' : 'in clear'}`;

const section = (account: string, [result, ...lines]: [string, ...string[]]) => [
  `${account}: ${result}`,
  ...lines.map((line) => `  ${line}`),
];

function inboundText(message: ListedMessage): string {
  const { sender, type, createdMs, isEncrypted, frameIndex } = message;
  const state = inboundState(message);
  return `${heading(type, `from ${sender}`, createdMs, isEncrypted)}\nreceived: frame ${frameIndex} of your inbound spool, ${state}`;
}

/** What the command says; pure. */
export function statusText(status: MessageStatus, nowMs: number): string {
  if (status.where === 'here') {
    const { type, recipient, createdMs, isEncrypted } = status.message;
    const head = heading(type, `to ${recipient}`, createdMs, isEncrypted);
    return [head, ...section(recipient, here(status.message))].join('\n');
  }
  const { message, deliveries } = status;
  if (message.box === 'inbound') return inboundText(message);
  const { type, recipients, createdMs, isEncrypted } = message;
  return [
    heading(type, `to ${recipients.join(', ')}`, createdMs, isEncrypted),
    ...deliveries.flatMap((delivery) => section(delivery.account, deliveryLines(delivery, nowMs))),
  ].join('\n');
}

/** The same for programs. */
export function statusJson(status: MessageStatus) {
  if (status.where === 'here') return unsentJson(status.message);
  const deliveries = status.deliveries.map((delivery) => {
    const { queued } = delivery;
    const waiting = queued && {
      attempts: queued.attempts,
      nextAttempt: isoTime(queued.nextAttemptMs),
      expires: isoTime(queued.expiresMs),
      reason: queued.reason,
    };
    return { ...deliveryJson(delivery), ...waiting };
  });
  return { ...messageJson(status.message), deliveries };
}

async function status(io: CommandIo, id: string): Promise<void> {
  const found = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => messageStatus(device, id)),
  );
  io.print(statusJson(found), () => statusText(found, currentMs()));
}

const help = `
A message is queued until the recipient's service has taken it: delivered (signed for), sent (taken by a service
that signs for nothing), refused, or expired after 48 hours. "waits here": your own service has not taken it yet.

Examples:
  mesh message status NCUQ-…
  mesh message status NCUQ-… --json`;

/** Adds to the group of the program. */
export function registerMessageStatusCommand(program: Command, io: CommandIo): void {
  commandGroup(program, 'message', 'messages to and from other people')
    .command('status')
    .description('where a message is: attempts, the next one, and why')
    .argument('<id>', 'its identifier, as mesh message send and list show it')
    .addHelpText('after', help)
    .action((id: string) => status(io, id));
}
