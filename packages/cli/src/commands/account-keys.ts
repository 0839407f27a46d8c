/** `mesh account rotate|escrow|recover`: the keys of an account, for the years and for the day on which all devices are gone. */
import { withDevice } from '@meshd/client/device';
import { removeMaster, splitMaster } from '@meshd/client/operations/escrow';
import { recoverAccount } from '@meshd/client/operations/recover';
import { rotateAccountKey } from '@meshd/client/operations/rotate';
import type { Command } from 'commander';
import { type CommandIo, UsageError } from '../command-io.js';
import {
  addressArgument,
  caArgument,
  type ServiceOptions,
  urlArgument,
  withEnvironment,
} from '../device-environment.js';
import { tellOfNewKey, toldText } from './tell-contacts.js';

async function rotate(io: CommandIo): Promise<void> {
  const { keyUdf, deviceCount, without, told } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const rotated = await rotateAccountKey(device);
      return { ...rotated, told: await tellOfNewKey(device) };
    }),
  );
  io.print({ key: keyUdf, devices: deviceCount, without, told }, () =>
    [
      `what is written from now on is encrypted to ${keyUdf}`,
      `devices that have it: ${deviceCount}; each takes it at its next synchronisation`,
      ...without.map((udf) => `${udf} could not be given it: revoke it and connect it anew`),
      ...toldText(told),
    ].join('\n'),
  );
}

interface EscrowFlags {
  readonly shares: string;
  readonly quorum: string;
  readonly removeMaster?: boolean;
}

function countArgument(text: string, name: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new UsageError(`--${name} takes a number, not ${text}`);
  return Number(text);
}

async function escrow(io: CommandIo, flags: EscrowFlags): Promise<void> {
  const [shareCount, quorum] = [countArgument(flags.shares, 'shares'), countArgument(flags.quorum, 'quorum')];
  const isRemoved = flags.removeMaster === true;
  const result = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device, { address }) => {
      const shares = await splitMaster(device, { shareCount, quorum });
      if (isRemoved) await removeMaster(device);
      return { shares, address };
    }),
  );
  const { shares, address } = result;
  io.print({ address, quorum, shares, masterRemoved: isRemoved }, () =>
    [
      ...shares.map((share, at) => `share ${at + 1} of ${shares.length}: ${share}`),
      '',
      `Write each down and give each to another person or place. Any ${quorum} of them are all of ${address}:`,
      'whoever brings so many together reads everything and is you. Fewer tell nothing. They are kept nowhere else.',
      `All devices are gone? On a new one: mesh account recover SHARE… --account ${address}`,
      ...(isRemoved
        ? ['This device no longer has the master seed; to make administrators, bring the shares here.']
        : []),
    ].join('\n'),
  );
}

interface RecoverFlags extends ServiceOptions {
  readonly account?: string;
  readonly name?: string;
}

async function recover(io: CommandIo, shares: readonly string[], flags: RecoverFlags): Promise<void> {
  const options = {
    shares,
    address: flags.account === undefined ? undefined : addressArgument(flags.account),
    url: urlArgument(flags.url),
    ca: await caArgument(io, flags.ca),
    description: flags.name,
  };
  const { state, what, otherDevices } = await withEnvironment(io, (environment) =>
    recoverAccount(io.home, environment, options),
  );
  const { address, deviceUdf, accountUdf, meshUdf } = state;
  io.print({ address, what, account: accountUdf, mesh: meshUdf, device: deviceUdf, otherDevices }, () =>
    what === 'master'
      ? `this device of ${address} has the master seed again; take it out with: mesh account escrow --remove-master …`
      : [
          `${address} is yours again; this device administers it`,
          `device ${deviceUdf}`,
          ...otherDevices.map((udf) => `connected before: ${udf}`),
          ...(otherDevices.length === 0
            ? []
            : ['shut out those that are lost: mesh device list, mesh device revoke DEVICE; until then they go on']),
        ].join('\n'),
  );
}

/** Adds the commands to the group `account`. */
export function registerAccountKeyCommands(account: Command, io: CommandIo): void {
  account
    .command('rotate')
    .description('change the key that the account’s data is encrypted to; once a year, or when it may be known')
    .action(() => rotate(io));
  account
    .command('escrow')
    .description('split the master seed into shares for people to keep')
    .requiredOption('--shares <n>', 'how many are made, 2 to 16')
    .requiredOption('--quorum <k>', 'how many of them give everything back, 2 to 15')
    .option('--remove-master', 'then take the master seed out of this device, so that no thief of it has it')
    .addHelpText('after', '\nExample: mesh account escrow --shares 3 --quorum 2')
    .action((flags: EscrowFlags) => escrow(io, flags));
  account
    .command('recover')
    .description('make this home a new administration device from shares, or give it the master seed back')
    .argument('<share...>', 'S…, as many as the quorum says')
    .option('--account <address>', 'NAME@DOMAIN; not needed in a home of the account')
    .option('--name <text>', 'what this device is called (default: the name of this machine)')
    .option('--url <url>', 'https address of the service (default: as the DNS of DOMAIN says)')
    .option('--ca <file>', 'certificates (PEM) to trust instead of the usual ones')
    .addHelpText('after', '\nExample: mesh account recover SAYB-… SABZ-… --account alice@example.com --home new-laptop')
    .action((shares: string[], flags: RecoverFlags) => recover(io, shares, flags));
}
