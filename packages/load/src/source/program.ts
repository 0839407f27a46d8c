/** `mesh-source`: sends messages of one account at a rate, and prints what became of them. */
import { type CommandIo, UsageError } from '@meshd/cli/command-io';
import {
  addressArgument,
  caArgument,
  integerArgument,
  urlArgument,
  withEnvironment,
} from '@meshd/cli/device-environment';
import type { ProgramShape } from '@meshd/cli/program';
import { accountOf, withDevice } from '@meshd/client/device';
import type { ClientEnvironment } from '@meshd/client/environment';
import { createAccount } from '@meshd/client/operations/create-account';
import { fatesOf } from './fates.js';
import { type SourceReport, sourceReport } from './report.js';
import { sendAll } from './source.js';

interface SourceFlags {
  readonly account?: string;
  readonly url?: string;
  readonly ca?: string;
  readonly count: string;
  readonly rate?: string;
  readonly bytes: string;
  readonly type: string;
  readonly wait?: string;
}

/** A home without account gets the one that is named; one that has an account keeps it. */
async function ensureAccount(io: CommandIo, environment: ClientEnvironment, flags: SourceFlags): Promise<void> {
  const known = await accountOf(io.home);
  const address = flags.account === undefined ? undefined : addressArgument(flags.account);
  if (known !== undefined && (address === undefined || address === known.address)) return;
  if (address === undefined) throw new UsageError('--account names the account to send from; it is made if need be');
  const ca = await caArgument(io, flags.ca);
  await createAccount(io.home, environment, { address, url: urlArgument(flags.url), ca });
}

function rateOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const rate = Number(text);
  if (!(rate > 0)) throw new UsageError(`--rate takes messages a second, not ${text}`);
  return rate;
}

async function run(io: CommandIo, accounts: readonly string[], flags: SourceFlags): Promise<void> {
  const options = {
    recipients: accounts.map(addressArgument),
    count: integerArgument('--count', flags.count) ?? 1,
    perSecond: rateOf(flags.rate),
    contentBytes: integerArgument('--bytes', flags.bytes) ?? 0,
    type: flags.type,
  };
  const waitMs = (integerArgument('--wait', flags.wait) ?? 0) * 1000;
  const report = await withEnvironment(io, async (environment) => {
    await ensureAccount(io, environment, flags);
    return withDevice(io.home, environment, async (device, { address }) => {
      const startMs = performance.now();
      let done = 0;
      const sent = await sendAll(device, options, () => {
        done += 1;
        environment.progress('sending', done, options.count);
      });
      const tookMs = performance.now() - startMs;
      const ids = sent.filter(({ result }) => result !== 'refused').map(({ id }) => id);
      const fates = waitMs === 0 ? new Map() : await fatesOf(device, ids, waitMs);
      return sourceReport(address, sent, tookMs, fates);
    });
  });
  io.print(report, () => textOf(report));
  if (report.accepted < options.count) io.setExitCode(1);
}

function textOf({ account, accepted, refused, failed, seconds, acceptedPerSecond, answeredMs, fates }: SourceReport) {
  const ended = Object.entries(fates).map(([fate, count]) => `${count} ${fate}`);
  return [
    `${account}: ${accepted} accepted, ${refused} refused, ${failed} without answer, in ${seconds} s`,
    `${acceptedPerSecond} a second; answered within ${answeredMs.p50} ms (50 %), ${answeredMs.p99} ms (99 %)`,
    ...(ended.length === 0 ? [] : [ended.join(', ')]),
  ].join('\n');
}

/** The command line. */
export const meshSourceShape: ProgramShape = {
  name: 'mesh-source',
  description: 'Sends messages of one account through its provider, at a rate, and tells what became of them.',
  hasHome: true,
  register(program, io) {
    program
      .argument('<account...>', 'recipients, NAME@DOMAIN; each message goes to the next of them')
      .option('--account <address>', 'account to send from; made if the home has none')
      .option('--url <url>', 'where its provider answers, for an account that is made')
      .option('--ca <file>', 'certificates (PEM) to trust instead of the usual ones, for an account that is made')
      .option('--count <count>', 'how many messages', '1')
      .option('--rate <per second>', 'messages a second (default: as fast as they are taken)')
      .option('--bytes <octets>', 'octets of content of each', '1024')
      .option('--type <name>', 'kind of the messages; they travel in clear', 'Note')
      .option('--wait <seconds>', 'wait so long for all to be delivered, refused or expired')
      .action((accounts: string[], flags: SourceFlags) => run(io, accounts, flags));
  },
};
