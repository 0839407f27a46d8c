/** `mesh contact`: whose messages are taken, and the card by which others know this account. */
import { withDevice } from '@meshd/client/device';
import { allowContact } from '@meshd/client/operations/contacts';
import { readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { addressArgument, withEnvironment } from '../device-environment.js';

interface AllowFlags {
  readonly types?: string;
  readonly card?: string;
  readonly block?: boolean;
}

function permissionsArgument({ types = '*', block }: AllowFlags): string[] {
  if (block === true) return [];
  const names = types.split(',').map((name) => name.trim());
  const bad = names.find((name) => !/^(\*|[A-Za-z][A-Za-z0-9-]{0,62})$/.test(name));
  if (bad !== undefined) throw new UsageError(`--types takes names of message types or *, not ${bad || 'nothing'}`);
  return names;
}

async function allow(io: CommandIo, account: string, flags: AllowFlags): Promise<void> {
  const address = addressArgument(account);
  const permissions = permissionsArgument(flags);
  const card = flags.card === undefined ? undefined : readEnvelope(await io.readFile(flags.card));
  const allowed = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => allowContact(device, { address, permissions, card })),
  );
  const { accountUdf } = allowed;
  io.print({ address, permissions, account: accountUdf ?? null, index: allowed.frameIndex }, () => {
    if (permissions.length === 0) return `messages of ${address} are refused from now on`;
    const what = permissions.includes('*') ? 'every message' : permissions.join(', ');
    const key = accountUdf === undefined ? 'whatever account answers to that name' : `account ${accountUdf}`;
    return `${what} of ${address} is taken (${key})`;
  });
}

async function card(io: CommandIo, file: string | undefined): Promise<void> {
  const profile = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => device.session.identity.profileAccount),
  );
  const octets = writeEnvelope(profile, 'json');
  if (file !== undefined) await io.writeFile(file, octets);
  const text = Buffer.from(octets).toString('utf8');
  io.print(file === undefined ? { card: text } : { file }, file === undefined ? text : `the card is in ${file}`);
}

/** Adds the group to the program. */
export function registerContactCommands(program: Command, io: CommandIo): void {
  const contact = commandGroup(program, 'contact', 'people whose messages are taken');
  contact
    .command('allow')
    .description('take messages of an account, or refuse them all')
    .argument('<account>', 'NAME@DOMAIN')
    .option('--types <list>', 'message types, with commas between them (default: all)')
    .option('--card <file>', 'the card of the account, which the person gave you')
    .option('--block', 'refuse everything from it')
    .action((account: string, flags: AllowFlags) => allow(io, account, flags));
  contact
    .command('card')
    .description('the card of this account, for others to know its keys by')
    .argument('[file]', 'where to write it (default: standard output)')
    .action((file: string | undefined) => card(io, file));
}
