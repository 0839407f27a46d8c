/** `mesh account service …` and `mesh account move`: one account at several services, and its way to another one. */
import { withDevice } from '@meshd/client/device';
import type { CopiedStore } from '@meshd/client/move/copy';
import type { Place } from '@meshd/client/move/places';
import { addService, listServices, removeService } from '@meshd/client/move/services';
import { type Moved, moveAccount, resumeMove, undoMove } from '@meshd/client/move/switch';
import { tellContacts } from '@meshd/client/operations/contact-exchange';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import {
  addressArgument,
  caArgument,
  type ServiceOptions,
  urlArgument,
  withEnvironment,
} from '../device-environment.js';
import { textTable } from '../table.js';

async function placeArgument(io: CommandIo, text: string, { url, ca }: ServiceOptions): Promise<Place> {
  return { address: addressArgument(text), url: urlArgument(url), ca: await caArgument(io, ca) };
}

function storesJson(stores: readonly CopiedStore[]) {
  return stores.map(({ container, frameCount, digest, copiedCount }) => {
    return { container, index: frameCount, digest, copied: copiedCount };
  });
}

function storesText(stores: readonly CopiedStore[]): string[] {
  if (stores.length === 0) return [];
  const rows = stores.map(({ container, frameCount, copiedCount }) => [container, frameCount, copiedCount]);
  return [textTable(['container', 'frames', 'copied'], rows)];
}

async function add(io: CommandIo, text: string, flags: ServiceOptions): Promise<void> {
  const place = await placeArgument(io, text, flags);
  const stores = await withEnvironment(io, (environment) => addService(io.home, environment, place));
  io.print({ address: place.address, stores: storesJson(stores) }, () =>
    [
      ...storesText(stores),
      `${place.address} stands by, with a copy of all stores; again brings it up to date`,
      `to use it: mesh account service authoritative ${place.address}`,
    ].join('\n'),
  );
}

async function remove(io: CommandIo, text: string): Promise<void> {
  const address = addressArgument(text);
  const reason = await withEnvironment(io, (environment) => removeService(io.home, environment, address));
  if (reason !== undefined) io.setExitCode(1);
  io.print({ address, ended: reason === undefined, reason }, () =>
    reason === undefined
      ? `${address} is no address of the account any more`
      : `${address} is no address of the account any more, but its service did not end it: ${reason}`,
  );
}

async function list(io: CommandIo): Promise<void> {
  const services = await listServices(io.home);
  const result = services.map(({ address, url, isAuthoritative }) => ({
    address,
    url,
    authoritative: isAuthoritative,
  }));
  io.print({ services: result }, () => {
    const rows = services.map(({ address, url, isAuthoritative }) => {
      return [address, isAuthoritative ? 'authoritative' : 'stands by', url ?? 'as its domain says'];
    });
    return textTable(['address', 'account', 'service'], rows);
  });
}

/** People who know this account hear of the new address from it; that this fails ends no move. */
async function tellPeople(io: CommandIo): Promise<{ readonly told: readonly string[]; readonly untold?: string }> {
  try {
    const { messages, interrupted } = await withEnvironment(io, (environment) =>
      withDevice(io.home, environment, (device) => tellContacts(device)),
    );
    const told = messages.map(({ recipient }) => recipient);
    return interrupted === undefined ? { told } : { told, untold: interrupted.message };
  } catch (error) {
    return { told: [], untold: (error as Error).message };
  }
}

async function printMoved(io: CommandIo, moved: Moved, leaves: boolean): Promise<void> {
  const { from, to, stores, noNotice } = moved;
  if (noNotice !== undefined) io.setExitCode(1);
  const notice = leaves ? noNotice === undefined : undefined;
  const { told, untold } = await tellPeople(io);
  io.print({ from, to, stores: storesJson(stores), notice, reason: noNotice, told, untold }, () =>
    [
      ...storesText(stores),
      `the account is at ${to}; your other devices follow when they are used next`,
      ...(told.length === 0 ? [] : [`the new address goes to ${told.join(', ')}`]),
      ...(untold === undefined ? [] : [`not all contacts could be told: ${untold}; again with: mesh contact tell`]),
      ...(notice === true ? [`${from} says so for 90 days; back again: mesh account move --undo`] : []),
      ...(noNotice === undefined ? [] : [`${from} did not take the notice: ${noNotice}`]),
    ].join('\n'),
  );
}

interface MoveFlags extends ServiceOptions {
  readonly resume?: boolean;
  readonly undo?: boolean;
  readonly anyway?: boolean;
}

async function authoritative(io: CommandIo, text: string, flags: MoveFlags): Promise<void> {
  const to = await placeArgument(io, text, flags);
  const options = { to, leaves: false, anyway: flags.anyway };
  const moved = await withEnvironment(io, (environment) => moveAccount(io.home, environment, options));
  await printMoved(io, moved, false);
}

async function move(io: CommandIo, text: string | undefined, flags: MoveFlags): Promise<void> {
  const chosen = [text !== undefined, flags.resume === true, flags.undo === true].filter(Boolean).length;
  if (chosen !== 1) throw new UsageError('name the new address, or --resume, or --undo');
  const moved = await withEnvironment(io, async (environment) => {
    if (flags.resume === true) return resumeMove(io.home, environment, flags.anyway);
    if (text === undefined) return undoMove(io.home, environment);
    const to = await placeArgument(io, text, flags);
    return moveAccount(io.home, environment, { to, leaves: true, anyway: flags.anyway });
  });
  await printMoved(io, moved, true);
}

const urlOption = ['--url <url>', 'https address of the service (default: as the DNS of DOMAIN says)'] as const;
const caOption = ['--ca <file>', 'certificates (PEM) to trust there instead of the usual ones'] as const;
const anywayOption = ['--anyway', 'go though messages still wait at the old service'] as const;

/** Adds the commands to the group `account`. */
export function registerAccountMoveCommands(account: Command, io: CommandIo): void {
  const service = commandGroup(account, 'service', 'addresses of the account at several services');
  service
    .command('add')
    .description('have the account stand by at another service, with a copy of all stores')
    .argument('<address>', 'NAME@DOMAIN')
    .option(...urlOption)
    .option(...caOption)
    .addHelpText('after', '\nExample: mesh account service add alice@other.example')
    .action((address: string, flags: ServiceOptions) => add(io, address, flags));
  service
    .command('remove')
    .description('give up an address at which the account only stands by')
    .argument('<address>', 'NAME@DOMAIN')
    .addHelpText('after', '\nExample: mesh account service remove alice@other.example')
    .action((address: string) => remove(io, address));
  service
    .command('authoritative')
    .description('have the account at that address from now on; at the present one it stands by')
    .argument('<address>', 'NAME@DOMAIN')
    .option(...urlOption)
    .option(...caOption)
    .option(...anywayOption)
    .addHelpText('after', '\nExample: mesh account service authoritative alice@other.example')
    .action((address: string, flags: MoveFlags) => authoritative(io, address, flags));
  service
    .command('list')
    .description('the addresses of the account')
    .action(() => list(io));
  account
    .command('move')
    .description('take the account to another service, with all that is in it, and leave a notice at the old one')
    .argument('[address]', 'NAME@DOMAIN, the new one')
    .option(...urlOption)
    .option(...caOption)
    .option(...anywayOption)
    .option('--resume', 'go on with a move that was interrupted')
    .option('--undo', 'take the account back to where it was')
    .addHelpText('after', '\nExample: mesh account move alice@other.example')
    .action((address: string | undefined, flags: MoveFlags) => move(io, address, flags));
}
