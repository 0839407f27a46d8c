/** `mesh device …` for devices without display or keys: made with a code, invited by it, coming for the invitation. */
import { loadCaOf } from '@meshd/client/account-state';
import { parseEarl } from '@meshd/client/connect/earl';
import { withDevice } from '@meshd/client/device';
import type { ClientEnvironment } from '@meshd/client/environment';
import { ClientError } from '@meshd/client/errors';
import {
  type HailingProgress,
  type Polled,
  type PollOptions,
  pollHailing,
  preconfigureDevice,
  resetDevice,
} from '@meshd/client/operations/hail';
import { acceptInvited, hasShownItself, inviteDevice } from '@meshd/client/operations/invite-device';
import { withdraw } from '@meshd/client/operations/publish';
import { syncAccount } from '@meshd/client/operations/sync';
import { completePollMsMax, completePollMsMin } from '@meshd/limits/limits';
import type { Command } from 'commander';
import { type CommandIo, UsageError } from '../command-io.js';
import { caArgument, type ServiceOptions, urlArgument, withEnvironment } from '../device-environment.js';
import { codeWarning, followInvitation, invitationText } from '../invitation.js';
import { permissionsOf } from '../permission-argument.js';
import { qrText, writeQrPng } from '../qr.js';

interface PreconfigureFlags {
  readonly name?: string;
  readonly button?: boolean;
  readonly qr?: string;
}

async function preconfigure(io: CommandIo, folder: string, flags: PreconfigureFlags): Promise<void> {
  const ca = await loadCaOf(io.home);
  const options = { description: flags.name ?? 'device', hasButton: flags.button === true, ca };
  const made = await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => preconfigureDevice(device, folder, options)),
  );
  if (flags.qr !== undefined) await writeQrPng(flags.qr, made.earl);
  const picture = await qrText(made.earl);
  io.print({ earl: made.earl, device: made.deviceUdf, home: folder, qr: flags.qr ?? null }, () =>
    [
      picture,
      made.earl,
      `device ${made.deviceUdf}, in ${folder}`,
      ...(flags.qr === undefined ? [] : [`the picture for its label is in ${flags.qr}`]),
      codeWarning,
      `at the device: mesh device poll --wait --home ${folder}`,
    ].join('\n'),
  );
}

async function withdrawEarl(io: CommandIo, code: string): Promise<void> {
  const { identifier } = parseEarl(code);
  await withEnvironment(io, (environment) =>
    withDevice(io.home, environment, (device) => withdraw(device, identifier)),
  );
  io.print({ identifier }, 'withdrawn: nobody can invite the device by this code any more');
}

interface ConnectFlags extends ServiceOptions {
  readonly permissions?: string;
  readonly wait: boolean;
}

async function connect(io: CommandIo, code: string, flags: ConnectFlags): Promise<void> {
  const options = {
    url: urlArgument(flags.url),
    ca: await caArgument(io, flags.ca),
    permissions: permissionsOf(flags.permissions),
  };
  await withEnvironment(io, async (environment) => {
    const invited = await withDevice(io.home, environment, (device) => inviteDevice(device, code, options));
    const { deviceUdf, description, hailing, expiresMs } = invited;
    const json = { device: deviceUdf, description, hailing, expires: new Date(expiresMs).toISOString() };
    if (!flags.wait) {
      io.print({ ...json, connected: false, shown: false }, () =>
        [
          `${description} is invited until ${json.expires}; ${codeWarning}`,
          'once it has come: mesh device pending, and mesh device accept ID',
        ].join('\n'),
      );
      return;
    }
    io.note(`${description} (${deviceUdf}) is invited; ${codeWarning}`);
    io.note('waiting until it comes; press its button if it has one');
    const outcome = await followInvitation(environment, invited, {
      accept: () => withDevice(io.home, environment, (device) => acceptInvited(device, deviceUdf)),
      hasShownItself: () => withDevice(io.home, environment, (device) => hasShownItself(device, deviceUdf)),
      note: (text) => io.note(text),
    });
    io.print({ ...json, ...outcome }, () => invitationText(invited, outcome));
  });
}

function progressText(progress: HailingProgress): string {
  switch (progress.stage) {
    case 'button':
      return 'press the button of the device, and then: mesh device poll --button';
    case 'connected':
      return `connected to ${progress.address}`;
    default:
      return 'nobody has invited this device yet; try again: mesh device poll --wait';
  }
}

interface PollFlags extends ServiceOptions {
  readonly wait?: boolean;
  readonly button?: boolean;
}

async function poll(io: CommandIo, flags: PollFlags): Promise<void> {
  const place = { url: urlArgument(flags.url), ca: await caArgument(io, flags.ca) };
  const options = { isPressed: flags.button === true, ...place };
  const { progress, ignored } = await withEnvironment(io, async (environment) => {
    const polled = await pollUntil(io, environment, options, flags.wait === true);
    // Its first Status: whoever connected it waits for that (S57).
    if (polled.isNew) await withDevice(io.home, environment, (device) => syncAccount(device));
    return polled;
  });
  const address = progress.stage === 'connected' ? progress.address : null;
  io.print({ stage: progress.stage, address, ignored }, () => progressText(progress));
}

async function pollUntil(
  io: CommandIo,
  environment: ClientEnvironment,
  options: PollOptions,
  isWaiting: boolean,
): Promise<Polled> {
  let pauseMs = 0;
  for (let { isPressed } = options; ; isPressed = false) {
    const polled = await pollHailing(io.home, environment, { ...options, isPressed }).catch((error) => {
      // A device that nobody looks at goes on when the network is back.
      if (!isWaiting || !(error instanceof ClientError) || error.code !== 'unavailable') throw error;
      io.note(error.message);
      return undefined;
    });
    for (const why of polled?.ignored ?? []) io.note(why);
    if (polled !== undefined && (!isWaiting || polled.progress.stage === 'connected')) return polled;
    const askedMs =
      polled !== undefined && 'retryAfterMs' in polled.progress ? polled.progress.retryAfterMs : completePollMsMin;
    pauseMs = Math.min(completePollMsMax, Math.max(askedMs, pauseMs * 2));
    await environment.pause(pauseMs);
  }
}

async function reset(io: CommandIo, flags: { readonly yes?: boolean }): Promise<void> {
  const question = `forget the account of ${io.home} with all that is kept of it`;
  const answer = flags.yes === true ? 'yes' : await io.ask(question, ['yes', 'no']);
  if (answer === undefined) throw new UsageError('this forgets the account of the device; if that is meant, add --yes');
  if (answer === 'no') {
    io.print({ reset: false }, 'nothing was changed');
    return;
  }
  const { earl } = await resetDevice(io.home);
  io.print({ reset: true, earl }, `as it was made; its code is ${earl}`);
}

const makeExamples = `
Examples:
  mesh device preconfigure ./lamp --name "desk lamp" --qr lamp.png
  mesh device preconfigure ./lock --name "front door" --button`;
const connectExamples = `
Examples:
  mesh device connect udf://maker.example/EBQA-7QRX-…
  mesh device connect udf://maker.example/EBQA-7QRX-… --permissions mmm_Network:read`;
const pollExamples = `
Examples:
  mesh device poll --wait --home ./lamp
  mesh device poll --button --home ./lock`;

/** Adds them to the group. */
export function registerEarlCommands(device: Command, io: CommandIo): void {
  device
    .command('preconfigure')
    .description('make a device that is connected by its code: its keys go into a folder, its description is published')
    .argument('<folder>', 'home of the device')
    .option('--name <text>', 'what those see who scan the code (default: device)')
    .option('--button', 'it has a button, and takes offers for 10 minutes after that was pressed')
    .option('--qr <file>', 'write the code as a picture (PNG)')
    .addHelpText('after', makeExamples)
    .action((folder: string, flags: PreconfigureFlags) => preconfigure(io, folder, flags));
  device
    .command('withdraw')
    .description('withdraw what was published of a device')
    .argument('<code>', 'udf://DOMAIN/E…')
    .action((code: string) => withdrawEarl(io, code));
  device
    .command('connect')
    .description('connect a device by the code on it')
    .argument('<code>', 'udf://DOMAIN/E…, as a reader of QR codes shows it')
    .option('--permissions <list>', 'stores it may use, STORE or STORE:read, with commas (default: all)')
    .option('--no-wait', 'only invite it')
    .option('--url <url>', 'https address where its description is (default: the domain in the code says it)')
    .option('--ca <file>', 'certificates to trust there instead of the usual ones')
    .addHelpText('after', connectExamples)
    .action((code: string, flags: ConnectFlags) => connect(io, code, flags));
  device
    .command('poll')
    .description('look, at a device made by preconfigure, whether somebody has invited it')
    .option('--wait', 'ask again until it is connected')
    .option('--button', 'its button was pressed just now')
    .option('--url <url>', 'https address of the service it is invited to (default: its domain says it)')
    .option('--ca <file>', 'certificates to trust there (default: those of whoever made the device)')
    .addHelpText('after', pollExamples)
    .action((flags: PollFlags) => poll(io, flags));
  device
    .command('reset')
    .description('make a device made by preconfigure what it was: its account is forgotten')
    .option('--yes', 'do not ask')
    .action((flags: { readonly yes?: boolean }) => reset(io, flags));
}
