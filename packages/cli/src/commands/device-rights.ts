/** `mesh device list|grant|rename|revoke`: what the devices of an account are called, may do, and when they may no longer. */
import { withDevice } from '@meshd/client/device';
import { grantAdministration } from '@meshd/client/operations/administrators';
import { type ListedDevice, listDevices, renameDevice, revokeDevice } from '@meshd/client/operations/device-list';
import type { Command } from 'commander';
import { type CommandIo, UsageError } from '../command-io.js';
import { withEnvironment } from '../device-environment.js';
import { textTable } from '../table.js';
import { tellOfNewKey, toldText } from './tell-contacts.js';

const storesText = ({ permissions }: ListedDevice) =>
  permissions.map(({ Name: store, Role: role }) => (role === undefined ? store : `${store}:${role}`)).join(' ');

const nameOf = ({ description, deviceUdf }: ListedDevice) => description || deviceUdf;

function deviceJson({ deviceUdf, isThis, isAdministrator, ...rest }: ListedDevice) {
  return { device: deviceUdf, this: isThis, administrator: isAdministrator, ...rest };
}

async function list(io: CommandIo): Promise<void> {
  const devices = await withEnvironment(io, (environment) => withDevice(io.home, environment, listDevices));
  const rows = devices.map((each) => [
    each.deviceUdf,
    each.isThis ? `${each.description} (this one)` : each.description,
    each.isAdministrator ? 'administers' : '',
    storesText(each) || 'all stores',
  ]);
  io.print({ devices: devices.map(deviceJson) }, () => textTable(['device', 'name', '', 'may use'], rows));
}

async function grant(io: CommandIo, name: string, flags: { readonly administrator?: boolean }): Promise<void> {
  if (flags.administrator !== true) throw new UsageError('say what is granted: --administrator');
  const granted = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => grantAdministration(device, name)),
  );
  io.print(deviceJson(granted), () =>
    [
      `${nameOf(granted)} administers the account from its next synchronisation on: mesh account sync`,
      'it can connect devices and shut any of them out, this one too',
    ].join('\n'),
  );
}

async function rename(io: CommandIo, name: string, newName: string): Promise<void> {
  const renamed = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => renameDevice(device, name, newName)),
  );
  io.print(deviceJson(renamed), `${renamed.deviceUdf} is called ${nameOf(renamed)}`);
}

async function revoke(io: CommandIo, name: string): Promise<void> {
  const { device, keyUdf, deviceCount, without, told } = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (opened) => {
      const revoked = await revokeDevice(opened, name);
      return { ...revoked, told: await tellOfNewKey(opened) };
    }),
  );
  io.print({ device: device.deviceUdf, key: keyUdf, devices: deviceCount, without, told }, () =>
    [
      `${nameOf(device)} is shut out; what it has read by now it keeps`,
      `the account has a new key, and ${deviceCount === 1 ? 'this device has it' : `${deviceCount} devices have it`}`,
      ...without.map((udf) => `${udf} could not be given it: revoke it and connect it anew`),
      ...toldText(told),
      ...(device.isAdministrator
        ? ['it administered the account: if it held the master seed, whoever has it can let himself in again']
        : []),
    ].join('\n'),
  );
}

/** Adds the commands to the group `device`. */
export function registerDeviceRights(device: Command, io: CommandIo): void {
  device
    .command('list')
    .description('the devices of the account, and what each may do')
    .action(() => list(io));
  device
    .command('grant')
    .description('let a connected device administer the account as well')
    .argument('<device>', 'what it is called, or the beginning of its fingerprint')
    .option('--administrator', 'connect and shut out devices, give out PINs, change the account’s key')
    .action((name: string, flags: { readonly administrator?: boolean }) => grant(io, name, flags));
  device
    .command('rename')
    .description('call a device otherwise than it calls itself')
    .argument('<device>', 'what it is called, or the beginning of its fingerprint')
    .argument('<name>', 'for example: kitchen tablet')
    .action((name: string, newName: string) => rename(io, name, newName));
  device
    .command('revoke')
    .description('shut a device out, and change the key that the account is encrypted to')
    .argument('<device>', 'what it is called, or the beginning of its fingerprint')
    .action((name: string) => revoke(io, name));
}
