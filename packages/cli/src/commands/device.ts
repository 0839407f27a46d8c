/** `mesh device`: connecting devices to an account, from both ends, and shutting them out again. */
import { loadCaOf } from '@meshd/client/account-state';
import { type Device, withDevice } from '@meshd/client/device';
import type { ClientEnvironment } from '@meshd/client/environment';
import {
  type AcceptOptions,
  acceptByCode,
  acceptByWitness,
  openRequest,
  pendingDevice,
  rejectRequest,
} from '@meshd/client/operations/administer-devices';
import {
  completeConnection,
  confirmConnection,
  type Progress,
  requestConnection,
} from '@meshd/client/operations/connect-device';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { deviceRequests, type PendingDevice } from '@meshd/client/operations/pending-devices';
import { pinLifeMsMax } from '@meshd/limits/client';
import { completePollMsMax } from '@meshd/limits/limits';
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
import { permissionsOf } from '../permission-argument.js';
import { textTable } from '../table.js';
import { registerEarlCommands } from './device-earl.js';
import { registerDeviceRights } from './device-rights.js';

const minuteMs = 60_000;
const unitsMs: Readonly<Record<string, number>> = { m: minuteMs, h: 60 * minuteMs };

const weaker =
  'warning: this is the weaker way, for old devices: who stands between may have made both ends look alike in part, so type all of it';

interface RequestFlags extends ServiceOptions {
  readonly pin?: string;
  readonly witness?: boolean;
  readonly name?: string;
}

async function request(io: CommandIo, account: string, flags: RequestFlags): Promise<void> {
  const options = {
    address: addressArgument(account),
    url: urlArgument(flags.url),
    ca: await caArgument(io, flags.ca),
    ...{ pin: flags.pin, isUncommitted: flags.witness === true, description: flags.name },
  };
  const asked = await withEnvironment(io, (environment) => requestConnection(io.home, environment, options));
  const { address, deviceUdf, meshUdf, mode } = asked;
  io.print({ address, device: deviceUdf, mesh: meshUdf, mode }, () =>
    [
      `this device has asked to join ${address}`,
      `device ${deviceUdf}`,
      `mesh   ${meshUdf}`,
      mode === 'pin'
        ? 'the PIN decides: go on with: mesh device complete --wait'
        : 'open it on an administration device (mesh device pending), and go on with: mesh device complete --wait',
      ...(mode === 'witness' ? [weaker] : []),
    ].join('\n'),
  );
}

function progressText(progress: Progress): string {
  switch (progress.stage) {
    case 'waiting':
      return 'nobody has answered yet; try again: mesh device complete --wait';
    case 'code':
      return [
        `the code of this device is ${progress.code}`,
        `type it at the administration device, and what that shows here: mesh device confirm CODE`,
      ].join('\n');
    case 'witness':
      return [
        weaker,
        `the witness of this device is ${progress.witness}`,
        'type all seven groups at the administration device, and all that it shows here: mesh device confirm WITNESS',
      ].join('\n');
    case 'connected':
      return `connected to ${progress.address}; go on with: mesh account sync`;
  }
}

/** Polls until the stage is another than waiting, or there is nothing to wait for. */
async function complete(io: CommandIo, flags: { readonly wait?: boolean }): Promise<void> {
  const ca = await loadCaOf(io.home);
  const progress = await withEnvironment(io, async (environment) => {
    let pauseMs = 0;
    for (;;) {
      const found = await completeConnection(io.home, environment, ca);
      if (found.stage !== 'waiting' || flags.wait !== true) return found;
      pauseMs = Math.min(completePollMsMax, Math.max(found.retryAfterMs, pauseMs * 2));
      await environment.pause(pauseMs);
    }
  });
  io.print(progress, () => progressText(progress));
}

async function confirm(io: CommandIo, code: string): Promise<void> {
  const progress = await confirmConnection(io.home, code);
  io.print(progress, () =>
    progress.stage === 'connected' ? progressText(progress) : 'right; go on with: mesh device complete --wait',
  );
}

const isOld = ({ request: { commitment } }: PendingDevice): boolean => commitment === undefined;

function pendingJson(pending: PendingDevice) {
  const { id, deviceUdf, description, stage, pinUdf } = pending;
  return { id, device: deviceUdf, description, stage, pin: pinUdf !== undefined, weaker: isOld(pending) };
}

/** How it will be shown that the device is the right one. */
function wayOf(pending: PendingDevice): string {
  if (isOld(pending)) return 'witness (weaker)';
  return pending.pinUdf === undefined ? 'code' : 'PIN';
}

async function pending(io: CommandIo): Promise<void> {
  const found = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => (await deviceRequests(device)).pending),
  );
  const open = found.filter(({ stage }) => stage !== 'accepted' && stage !== 'rejected');
  io.print({ pending: open.map(pendingJson) }, () => {
    if (open.length === 0) return 'no device waits to be connected';
    const rows = open.map((each) => {
      const { id, deviceUdf, description, stage } = each;
      return [id.slice(0, 14), description, deviceUdf, wayOf(each), stage];
    });
    return [
      textTable(['id', 'says it is', 'device', 'by', ''], rows),
      'accept one with: mesh device accept ID (it then shows a code; then again with --code CODE), or reject it',
    ].join('\n');
  });
}

interface AcceptFlags {
  readonly code?: string;
  readonly permissions?: string;
  readonly administrator?: boolean;
}

async function accept(io: CommandIo, name: string, flags: AcceptFlags): Promise<void> {
  const options = { permissions: permissionsOf(flags.permissions), administrator: flags.administrator };
  await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const wanted = await pendingDevice(device, name);
      if (isOld(wanted)) return acceptOld(io, device, wanted, flags.code, options);
      if (wanted.pinUdf !== undefined && flags.code === undefined) {
        const byPin = await acceptByPins(device, options, (udf) => udf === wanted.deviceUdf);
        const judged = byPin.find(({ pending: { id } }) => id === wanted.id);
        if (judged?.outcome === 'accepted') {
          io.print(
            { device: wanted.deviceUdf, by: 'pin' },
            `${wanted.description} is connected: it has proven the PIN`,
          );
          return;
        }
        io.note(`its PIN is ${judged?.outcome ?? 'invalid'}; a code is needed instead`);
      }
      if (flags.code === undefined) {
        await openRequest(device, wanted);
        io.print({ id: wanted.id, stage: 'challenged' }, () =>
          [
            `${wanted.description || wanted.deviceUdf} shows a code now; read it from the device itself`,
            `then: mesh device accept ${wanted.id.slice(0, 14)} --code CODE`,
          ].join('\n'),
        );
        return;
      }
      const { confirm: half, deviceUdf } = await acceptByCode(device, wanted, flags.code, options);
      io.print({ device: deviceUdf, by: 'code', confirm: half ?? null }, () =>
        [`the code is right. Type this at the device: mesh device confirm ${half}`, `device ${deviceUdf}`].join('\n'),
      );
    }),
  );
}

/** A device that knows no codes: its witness, typed in full, and a word on what that is worth (S53). */
async function acceptOld(
  io: CommandIo,
  device: Device,
  wanted: PendingDevice,
  witness: string | undefined,
  options: AcceptOptions,
): Promise<void> {
  const { id, deviceUdf, description } = wanted;
  if (witness === undefined) {
    io.print({ id, stage: 'witness', weaker: true }, () =>
      [
        `${description || deviceUdf} is too old for a code, and shows a witness of seven groups`,
        weaker,
        `then: mesh device accept ${id.slice(0, 14)} --code WITNESS`,
      ].join('\n'),
    );
    return;
  }
  const accepted = await acceptByWitness(device, wanted, witness, options);
  io.print({ device: deviceUdf, by: 'witness', weaker: true, confirm: accepted.confirm ?? null }, () =>
    [
      `${description || deviceUdf} is connected, by the weaker way: its maker's keys open what it was sent`,
      `type this at the device: mesh device confirm ${accepted.confirm}`,
    ].join('\n'),
  );
}

async function reject(io: CommandIo, name: string): Promise<void> {
  const rejected = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, async (device) => {
      const wanted = await pendingDevice(device, name);
      await rejectRequest(device, wanted);
      return wanted;
    }),
  );
  io.print({ id: rejected.id, device: rejected.deviceUdf }, `the request of ${rejected.deviceUdf} is rejected`);
}

interface PinFlags {
  readonly expires?: string;
  readonly wait?: boolean;
}

function lifeMsOf({ expires = '24h' }: PinFlags): number {
  const [, count, unit = ''] = /^(\d{1,4})([mh])$/.exec(expires) ?? [];
  const lifeMs = Number(count) * (unitsMs[unit] ?? Number.NaN);
  if (!(lifeMs > 0 && lifeMs <= pinLifeMsMax)) throw new UsageError('--expires takes 5m to 24h');
  return lifeMs;
}

/** Looks for devices that prove the PIN until one has, or the PIN has had its time. */
async function waitForDevice(
  io: CommandIo,
  environment: ClientEnvironment,
  expiresMs: number,
): Promise<PendingDevice | undefined> {
  while (environment.nowMs() < expiresMs) {
    const judged = await withDevice(io.home, environment, (device) => acceptByPins(device));
    const found = judged.find(({ outcome }) => outcome === 'accepted');
    if (found !== undefined) return found.pending;
    await environment.pause(2000);
  }
  return undefined;
}

async function pin(io: CommandIo, flags: PinFlags): Promise<void> {
  const lifeMs = lifeMsOf(flags);
  await withEnvironment(io, async (environment) => {
    const made = await withDevice(io.home, environment, (device) => givePin(device, lifeMs));
    const expires = new Date(made.expiresMs).toISOString();
    if (flags.wait !== true) {
      io.print({ pin: made.pin, expires }, () =>
        [
          `the PIN is ${made.pin}`,
          `good for one device until ${expires}; at that device: mesh device request ACCOUNT --pin PIN`,
          'and then here: mesh device accept ID',
        ].join('\n'),
      );
      return;
    }
    io.note(`the PIN is ${made.pin}; at the device: mesh device request ACCOUNT --pin PIN`);
    const found = await waitForDevice(io, environment, made.expiresMs);
    io.print({ pin: made.pin, expires, device: found?.deviceUdf ?? null }, () =>
      found === undefined ? 'nobody came' : `${found.description} is connected: it has proven the PIN`,
    );
  });
}

/** Adds the group to the program. */
export function registerDeviceCommands(program: Command, io: CommandIo): void {
  const device = commandGroup(program, 'device', 'the devices of an account');
  device
    .command('request')
    .description('ask, from a new device, to be connected to an account')
    .argument('<account>', 'NAME@DOMAIN')
    .option('--pin <pin>', 'as mesh device pin has shown it; without one a code is typed at both ends')
    .option('--witness', 'ask as old devices do, for an old administration device: weaker')
    .option('--name <text>', 'what the administrator sees (default: the name of this machine)')
    .option('--url <url>', 'https address of the service (default: its domain says it)')
    .option('--ca <file>', 'certificates to trust instead of the usual ones')
    .action((account: string, flags: RequestFlags) => request(io, account, flags));
  device
    .command('complete')
    .description('see what became of the request, and take the connection')
    .option('--wait', 'ask again until there is an answer')
    .action((flags: { readonly wait?: boolean }) => complete(io, flags));
  device
    .command('confirm')
    .description('type here what the administration device shows')
    .argument('<code>', 'XXXX-XXXX, or all seven groups of a witness')
    .action((code: string) => confirm(io, code));
  device
    .command('pending')
    .description('devices that wait to be connected')
    .action(() => pending(io));
  device
    .command('accept')
    .description('connect a device: by its PIN, or by the code that it shows')
    .argument('<id>', 'request or device, or the beginning of either')
    .option('--code <code>', 'the code that the device shows')
    .option('--permissions <list>', 'stores it may use, STORE or STORE:read, with commas (default: all)')
    .option('--administrator', 'let it administer the account as well')
    .action((name: string, flags: AcceptFlags) => accept(io, name, flags));
  device
    .command('reject')
    .description('say no to a device')
    .argument('<id>', 'request or device, or the beginning of either')
    .action((name: string) => reject(io, name));
  device
    .command('pin')
    .description('give out a PIN, by which one device is connected without further questions')
    .option('--expires <time>', '5m to 24h (default: 24h)')
    .option('--wait', 'wait for the device and connect it')
    .action((flags: PinFlags) => pin(io, flags));
  registerDeviceRights(device, io);
  registerEarlCommands(device, io);
}
