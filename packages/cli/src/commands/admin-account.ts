/** `mesh-admin account`: closes accounts to their own devices, and opens them again. */
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { CommandError, type CommandIo } from '../command-io.js';
import { addressArgument } from '../device-environment.js';
import { type OperatorFlags, operatorOptions, withOperatedShards } from '../operator-shards.js';

const actions = {
  block: { help: 'refuse everything to the devices of an account (403/7)', done: 'blocked', state: 'blocked' },
  unblock: { help: 'let the devices of an account in again', done: 'unblocked', state: 'not blocked' },
} as const;

type Action = keyof typeof actions;

async function change(io: CommandIo, action: Action, text: string, flags: OperatorFlags): Promise<void> {
  const account = addressArgument(text);
  const { changed } = await withOperatedShards(io, flags, (shards) => {
    const shard = shards.shardOf(account);
    if (shard === undefined) throw new CommandError(`no shard has the part of the accounts that ${account} is in`);
    return shards.ask(shard, { $case: 'changeAccount', value: { account, action } }, 'changeAccount');
  });
  const { done, state } = actions[action];
  io.print({ account, action, changed }, changed ? `${account}: ${done}` : `${account}: was ${state} already`);
}

const help = {
  block: `
Its devices are told so, and those that ask to be connected to it; they can neither read nor write. Nobody else can
tell: messages of others are taken and filed as ever, so that nothing is lost should the block have been a mistake.

Example:
  mesh-admin account block mallory@example.com --data .data`,
  unblock: '\nExample:\n  mesh-admin account unblock mallory@example.com --data .data',
} as const;

/** Adds the group to the program. */
export function registerAdminAccountCommands(program: Command, io: CommandIo): void {
  const group = commandGroup(program, 'account', 'accounts of the provider');
  for (const action of Object.keys(actions) as Action[]) {
    operatorOptions(group.command(action).description(actions[action].help))
      .argument('<address>', 'NAME@DOMAIN')
      .addHelpText('after', help[action])
      .action((address: string, flags: OperatorFlags) => change(io, action, address, flags));
  }
}
