/** `mesh-sink`: a service that takes messages, or is awkward about it, until it is stopped. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandIo, UsageError } from '@meshd/cli/command-io';
import { domainArgument } from '@meshd/cli/device-environment';
import type { ProgramShape } from '@meshd/cli/program';
import { type HostPort, parseHostPort } from '@meshd/process/setting';
import { Option } from 'commander';
import { behaviourNames, behaviours, conductForm } from './behaviour.js';
import { reportOf, startSinkControl } from './control.js';
import { startSink } from './sink.js';

interface SinkFlags {
  readonly data: string;
  readonly listen: string;
  readonly control: string;
  readonly authority?: string;
  readonly behaviour: string;
  readonly on?: string;
  readonly times?: string;
  readonly retryAfter?: string;
  readonly redirectTo?: string;
}

/** There while it runs: where it answers and is told, for programs. */
const stateFile = 'sink.json';

function addressOf(flag: string, text: string): HostPort {
  const address = parseHostPort(text);
  if (address === undefined) throw new UsageError(`${flag} takes ADDRESS:PORT, not ${text}`);
  return address;
}

function conductOf({ behaviour, on, times, retryAfter, redirectTo }: SinkFlags) {
  const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const read = conductForm.safeParse({
    ...{ behaviour, on, redirectTo, times: numberOf(times), retryAfterSeconds: numberOf(retryAfter) },
  });
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new UsageError(`${issue?.path.join('.') ?? 'behaviour'}: ${issue?.message ?? 'not understood'}`);
}

async function run(io: CommandIo, domainText: string, flags: SinkFlags): Promise<void> {
  const domain = domainArgument(domainText);
  const conduct = conductOf(flags);
  const [listen, controlAt] = [addressOf('--listen', flags.listen), addressOf('--control', flags.control)];
  await mkdir(flags.data, { recursive: true, mode: 0o700 });
  const sink = await startSink({ domain, folder: flags.data, listen, authority: flags.authority, conduct });
  const control = await startSinkControl(sink, controlAt);
  const state = join(flags.data, stateFile);
  await writeFile(state, `${JSON.stringify({ ...reportOf(sink), control: control.url }, undefined, 2)}\n`);
  io.note(`${domain} takes messages at ${sink.url} (certificate authority: ${sink.caFile})`);
  io.note(`it ${behaviours[conduct.behaviour].does}; told and asked at ${control.url}; Ctrl-C ends it`);
  await stopSignal();
  await control.stop();
  await sink.stop();
  await rm(state, { force: true });
  const report = { ...reportOf(sink), list: sink.tally.messages };
  io.print(report, () => JSON.stringify(reportOf(sink), undefined, 2));
}

function stopSignal(): Promise<unknown> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}

/** The command line. */
export const meshSinkShape: ProgramShape = {
  name: 'mesh-sink',
  description:
    'Another Mesh service, for trying out a provider: it takes messages for any account of its domain, rightly or not, and counts them.',
  hasHome: false,
  register(program, io) {
    const manners = behaviourNames.map((name) => `  ${name.padEnd(18)}${behaviours[name].does}`).join('\n');
    program
      .argument('<domain>', 'the domain that it is the service of')
      .option('--data <dir>', 'folder of its keys, made at the first start', '.mesh-sink')
      .option('--listen <address:port>', 'where it takes messages', '127.0.0.1:8444')
      .option('--control <address:port>', 'where it is told and asked, plain HTTP', '127.0.0.1:8445')
      .option('--authority <dir>', 'folder of the authority of its certificate (default: one of its own)')
      .addOption(new Option('--behaviour <name>', 'how it behaves').choices(behaviourNames).default('well'))
      .option('--on <transaction>', 'requests that it is awkward about (default: all)')
      .option('--times <count>', 'how often, before it is well again (default: always)')
      .option('--retry-after <seconds>', 'what it says when it is busy')
      .option('--redirect-to <url>', 'where it sends elsewhere')
      .addHelpText('after', `\nBehaviours:\n${manners}`)
      .action((domain: string, flags: SinkFlags) => run(io, domain, flags));
  },
};
