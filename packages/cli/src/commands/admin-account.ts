/** `mesh-admin account`: how an account stands, what it may hold, and whether its own devices may use it. */
import type { OperatedShards } from '@meshd/rpc/operator';
import { type Command, InvalidArgumentError } from 'commander';
import { commandGroup } from '../command-group.js';
import { CommandError, type CommandIo, UsageError } from '../command-io.js';
import { addressArgument } from '../device-environment.js';
import { type OperatorFlags, operatorOptions, withOperatedShards } from '../operator-shards.js';
import { textTable } from '../table.js';
import { isoTime, timeText } from '../when.js';

const actions = {
  block: { help: 'refuse everything to the devices of an account (403/7)', done: 'blocked', state: 'blocked' },
  unblock: { help: 'let the devices of an account in again', done: 'unblocked', state: 'not blocked' },
} as const;

type Action = keyof typeof actions;

/** Asks the shard that has the account. */
function askShard<T>(
  io: CommandIo,
  flags: OperatorFlags,
  account: string,
  ask: (shards: OperatedShards, shard: string) => Promise<T>,
): Promise<T> {
  return withOperatedShards(io, flags, (shards) => {
    const shard = shards.shardOf(account);
    if (shard === undefined) throw new CommandError(`no shard has the part of the accounts that ${account} is in`);
    return ask(shards, shard);
  });
}

async function change(io: CommandIo, action: Action, text: string, flags: OperatorFlags): Promise<void> {
  const account = addressArgument(text);
  const { changed } = await askShard(io, flags, account, (shards, shard) =>
    shards.ask(shard, { $case: 'changeAccount', value: { account, action } }, 'changeAccount'),
  );
  const { done, state } = actions[action];
  io.print({ account, action, changed }, changed ? `${account}: ${done}` : `${account}: was ${state} already`);
}

async function show(io: CommandIo, text: string, flags: OperatorFlags): Promise<void> {
  const account = addressArgument(text);
  const report = await askShard(io, flags, account, (shards, shard) =>
    shards.ask(shard, { $case: 'reportAccount', value: { account } }, 'reportAccount'),
  );
  const { status, awayTo, createdMs, deviceCount, bytesUsed, frameCount, quota, containers } = report;
  const { bytesMax = 0, framesMax = 0 } = quota ?? {};
  const used = { bytes: bytesUsed, frames: frameCount, bytesMax, framesMax };
  const listed = containers.map(({ name, frameCount: frames, bytesUsed: bytes, damaged }) => {
    return { name, frames, bytes, damaged };
  });
  const away = awayTo === '' ? null : awayTo;
  const json = {
    account,
    status,
    away,
    created: isoTime(createdMs),
    devices: deviceCount,
    ...used,
    containers: listed,
  };
  io.print(json, () => {
    const rows = listed.map(({ name, frames, bytes, damaged }) => [name, frames, bytes, damaged ? 'damaged' : '']);
    return [
      `${account}: ${status}, since ${timeText(createdMs)} UTC, devices: ${deviceCount}`,
      ...(away === null ? [] : [`the account is at ${away}`]),
      `octets: ${bytesUsed} of ${bytesMax}, frames: ${frameCount} of ${framesMax}`,
      textTable(['container', 'frames', 'octets', ''], rows),
    ].join('\n');
  });
}

interface QuotaFlags extends OperatorFlags {
  readonly bytes?: number;
  readonly frames?: number;
}

async function setQuota(io: CommandIo, text: string, flags: QuotaFlags): Promise<void> {
  const account = addressArgument(text);
  const { bytes, frames } = flags;
  if (bytes === undefined && frames === undefined)
    throw new UsageError('what may it hold? give --bytes, --frames, or both');
  const asked = {
    account,
    ...(bytes === undefined ? {} : { bytesMax: bytes }),
    ...(frames === undefined ? {} : { framesMax: frames }),
  };
  const { quota, changed } = await askShard(io, flags, account, (shards, shard) =>
    shards.ask(shard, { $case: 'changeQuota', value: asked }, 'changeQuota'),
  );
  const { bytesMax = 0, framesMax = 0 } = quota ?? {};
  const what = `${bytesMax} octets, ${framesMax} frames`;
  io.print({ account, bytesMax, framesMax, changed }, `${account}: may hold ${what}${changed ? '' : ' already'}`);
}

/** A number of octets or frames. */
function amount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It is a whole number.');
  return value;
}

const help = {
  block: `
Its devices are told so, and those that ask to be connected to it; they can neither read nor write. Nobody else can
tell: messages of others are taken and filed as ever, so that nothing is lost should the block have been a mistake.

Example:
  mesh-admin account block mallory@example.com --data .data`,
  unblock: '\nExample:\n  mesh-admin account unblock mallory@example.com --data .data',
  show: '\nHow much there is of what, never what it is.\n\nExample:\n  mesh-admin account show alice@example.com --data .data',
  quota: `
An account that holds more keeps it; new entries and messages are refused until it holds less. What is not given stays.

Example:
  mesh-admin account quota alice@example.com --bytes 2000000000 --frames 2000000 --data .data`,
} as const;

/** Adds the group to the program. */
export function registerAdminAccountCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'account', 'accounts of the provider');
  operatorOptions(group.command('show').description('status, containers, and what they take of the quota'))
    .argument('<address>', 'NAME@DOMAIN')
    .addHelpText('after', help.show)
    .action((address: string, flags: OperatorFlags) => show(io, address, flags));
  operatorOptions(group.command('quota').description('set what an account may hold'))
    .argument('<address>', 'NAME@DOMAIN')
    .option('--bytes <n>', 'octets of headers, bodies and trailers', amount)
    .option('--frames <n>', 'frames of all containers', amount)
    .addHelpText('after', help.quota)
    .action((address: string, flags: QuotaFlags) => setQuota(io, address, flags));
  for (const action of Object.keys(actions) as Action[]) {
    operatorOptions(group.command(action).description(actions[action].help))
      .argument('<address>', 'NAME@DOMAIN')
      .addHelpText('after', help[action])
      .action((address: string, flags: OperatorFlags) => change(io, action, address, flags));
  }
}
