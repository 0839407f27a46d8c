/** The command of `mesh-load draft-targets`. */
import { isIP } from 'node:net';
import { type CommandIo, UsageError } from '@meshd/cli/command-io';
import {
  caArgument,
  domainArgument,
  integerArgument,
  urlArgument,
  withEnvironment,
} from '@meshd/cli/device-environment';
import { messageBytesMax } from '@meshd/limits/limits';
import { draftMessagesPerSecond, draftPayloadBytes } from '@meshd/limits/load';
import { wellKnownPath } from '@meshd/schema/features';
import type { Command } from 'commander';
import { openLink } from '../link/open-link.js';
import { readRate } from '../link/rate.js';
import { runLoad } from './run.js';
import { type Verdict, verdictOf } from './verdict.js';

interface Flags {
  readonly url: string;
  readonly domain?: string;
  readonly ca?: string;
  readonly link: string;
  readonly shaper?: string;
  readonly rate: string;
  readonly seconds: string;
  readonly bytes: string;
}

/** The result, as `--json` prints it. */
export interface DraftTargetsReport extends Verdict {
  readonly domain: string;
  readonly link: { readonly bitsPerSecond: number; readonly by: string; readonly why?: string };
  readonly payloadBytes: number;
  readonly seconds: number;
}

function domainOf({ domain }: Flags, url: URL): string {
  if (domain !== undefined) return domainArgument(domain);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 || host === 'localhost') throw new UsageError('--domain says whose service is at that address');
  return domainArgument(host);
}

function shaperOf(text: string | undefined): 'kernel' | 'relay' | undefined {
  if (text === undefined || text === 'kernel' || text === 'relay') return text;
  throw new UsageError(`--shaper takes kernel or relay, not ${text}`);
}

function positive(name: string, text: string, max: number): number {
  const value = integerArgument(name, text) ?? 0;
  if (value < 1 || value > max) throw new UsageError(`${name} takes a number from 1 to ${max}`);
  return value;
}

async function run(io: CommandIo, flags: Flags): Promise<void> {
  const url = new URL(urlArgument(flags.url) as string);
  const domain = domainOf(flags, url);
  const bitsPerSecond = readRate(flags.link);
  if (bitsPerSecond === undefined) throw new UsageError(`--link takes a speed like 10mbit, not ${flags.link}`);
  const perSecond = positive('--rate', flags.rate, 10_000);
  const seconds = positive('--seconds', flags.seconds, 86_400);
  const payloadBytes = positive('--bytes', flags.bytes, messageBytesMax);
  const ca = await caArgument(io, flags.ca);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: url.port === '' ? 443 : Number(url.port) };
  const link = await openLink({ bitsPerSecond, to, by: shaperOf(flags.shaper) });
  try {
    const path = url.pathname === '/' ? wellKnownPath : url.pathname;
    const lineUrl = `https://127.0.0.1:${link.port}${path}`;
    const facts = await withEnvironment(io, (environment) =>
      runLoad({
        ...{ domain, url: flags.url, ca, lineUrl, count: perSecond * seconds, perSecond, payloadBytes, environment },
      }),
    );
    const { by, why } = link;
    const line = { bitsPerSecond, by, ...(why === undefined ? {} : { why }) };
    const report: DraftTargetsReport = { domain, link: line, payloadBytes, seconds, ...verdictOf(facts) };
    io.print(report, () => textOf(report));
    if (!report.held) io.setExitCode(1);
  } finally {
    await link.stop();
  }
}

function textOf(report: DraftTargetsReport): string {
  const { link, messages, accepted, refused, failed, lost, late, transactionMs: ms, reasons } = report;
  const shaper = link.by === 'kernel' ? 'shaped by the kernel' : `shaped by a relay${link.why ? ` (${link.why})` : ''}`;
  return [
    `${messages} messages of ${report.payloadBytes} octets over ${link.bitsPerSecond / 1e6} Mb/s, ${shaper}`,
    `${accepted} accepted, ${refused} refused, ${failed} without answer; ${lost} lost; ${late} took more than 5 s`,
    `answered ${report.answeredPerSecond} a second of ${report.wantedPerSecond}`,
    `transactions: 50 % ${ms.p50} ms, 90 % ${ms.p90} ms, 99 % ${ms.p99} ms, 99.9 % ${ms.p999} ms, longest ${ms.max} ms`,
    ...Object.entries(reasons).map(([reason, count]) => `${count} × ${reason}`),
    report.held ? 'the targets of the draft are held' : 'the targets of the draft are NOT held',
  ].join('\n');
}

/** Registers the command. */
export function registerDraftTargets(program: Command, io: CommandIo): void {
  program
    .command('draft-targets')
    .description("the draft's numbers: 20 full messages a second over 10 Mb/s, none taking 5 s")
    .requiredOption('--url <url>', 'where the provider answers; it must let anybody make accounts')
    .option('--domain <domain>', 'whose provider it is, where the address does not say')
    .option('--ca <file>', 'certificates (PEM) to trust instead of the usual ones')
    .option('--link <speed>', 'speed of the line each way', '10mbit')
    .option('--shaper <who>', 'kernel or relay (default: the kernel where this machine lets us)')
    .option('--rate <per second>', 'messages a second, whatever the answers do', String(draftMessagesPerSecond))
    .option('--seconds <seconds>', 'for how long', '30')
    .option('--bytes <octets>', 'octets of payload of each message', String(draftPayloadBytes))
    .action((flags: Flags) => run(io, flags));
}
