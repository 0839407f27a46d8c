/** The tree of commands of `mesh`, its common flags, and what becomes of an error. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { type CommandIo, type IoSettings, processIo, UsageError } from './command-io.js';
import { registerAccountCommands } from './commands/account.js';
import { registerAccountWatchCommands } from './commands/account-watch.js';
import { registerCatalogCommands } from './commands/catalog.js';
import { registerCompletionCommand } from './commands/completion.js';
import { registerConfirmCommands } from './commands/confirm.js';
import { registerContactCommands } from './commands/contact.js';
import { registerContactExchangeCommands } from './commands/contact-exchange.js';
import { registerContainerCommands } from './commands/container.js';
import { registerContainerFileCommands } from './commands/container-file.js';
import { registerContainerProofCommands } from './commands/container-proof.js';
import { registerDareCommands } from './commands/dare.js';
import { registerDeviceCommands } from './commands/device.js';
import { registerHelloCommands } from './commands/hello.js';
import { registerJsonCommands } from './commands/json.js';
import { registerKeyCommands } from './commands/key.js';
import { registerMessageCommands } from './commands/message.js';
import { registerMessageStatusCommand } from './commands/message-status.js';
import { registerUdfCommands } from './commands/udf.js';
import { terminalControls } from './table.js';

/** What a program needs to know of itself. */
export interface ProgramShape {
  readonly name: string;
  readonly description: string;
  /** Whether its commands use a device's state, and so `--home`. */
  readonly hasHome: boolean;
  register(program: Command, io: CommandIo): void;
}

/** `mesh`: every group, in the order in which `--help` shows them. */
export const meshShape: ProgramShape = {
  name: 'mesh',
  description: 'The Mathematical Mesh from the command line: accounts and their encrypted containers, and DARE files.',
  hasHome: true,
  register(program, io) {
    registerHelloCommands(program, io);
    registerAccountCommands(program, io);
    registerAccountWatchCommands(program, io);
    registerContainerCommands(program, io);
    registerContainerProofCommands(program, io);
    registerContainerFileCommands(program, io);
    registerMessageCommands(program, io);
    registerMessageStatusCommand(program, io);
    registerCatalogCommands(program, io);
    registerContactCommands(program, io);
    registerContactExchangeCommands(program, io);
    registerConfirmCommands(program, io);
    registerDeviceCommands(program, io);
    registerKeyCommands(program, io);
    registerUdfCommands(program, io);
    registerDareCommands(program, io);
    registerJsonCommands(program, io);
    registerCompletionCommand(program, io);
  },
};

const silentErrors = { outputError: () => undefined, writeErr: () => undefined };

/** The program with all its commands, ready to parse. */
export function buildProgram(shape: ProgramShape, io: CommandIo, settings: IoSettings): Command {
  const program = new Command(shape.name)
    .description(shape.description)
    .option('--json', 'print exactly one JSON document on standard output')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    // One line on standard error for wrong usage, printed below with every other error.
    .configureOutput(silentErrors)
    .hook('preAction', () => {
      const flags = program.opts<{ json?: boolean; home?: string; encoding?: 'json' | 'json-b'; resolver?: string }>();
      settings.json = flags.json === true;
      settings.home = flags.home ?? '';
      settings.encoding = flags.encoding;
      settings.resolver = flags.resolver;
    });
  if (shape.hasHome) {
    program.option('--home <dir>', "folder of this device's state", join(homedir(), '.mesh'));
    program.addOption(
      new Option('--encoding <name>', 'encoding of requests (default: the best that the service takes)').choices([
        'json',
        'json-b',
      ]),
    );
    program.option('--resolver <address:port>', "name server that is asked where services are (default: the system's)");
  }
  shape.register(program, io);
  for (const command of descendants(program)) {
    // Sub-commands inherit neither of these when made with addCommand; setting them twice does no harm.
    command
      .exitOverride()
      .configureOutput({ outputError: () => undefined })
      .configureHelp({ showGlobalOptions: true });
  }
  return program;
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}

/** The first line of an error's message, without commander's own prefix. What others wrote cannot steer a terminal. */
function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [first = ''] = message.split('\n');
  return (
    escapeControls(first)
      .replace(/^error: /, '')
      .trim() || 'something went wrong; run again with MESH_DEBUG=1 for the trace'
  );
}

function escapeControls(text: string): string {
  const codeOf = (character: string) => (character.codePointAt(0) ?? 0).toString(16).padStart(4, '0');
  return text.replace(terminalControls, (character) => `\\u${codeOf(character)}`);
}

/** As much of the line as names a group or command: that is the one whose help is of use. */
function wordsOf(program: Command, args: readonly string[]): string[] {
  let command: Command | undefined = program;
  const words = [program.name()];
  for (const arg of args) {
    const next: Command | undefined = command?.commands.find((child) => child.name() === arg);
    if (next === undefined) continue;
    words.push(arg);
    command = next;
  }
  return words;
}

function reportError(program: Command, args: readonly string[], error: unknown, debug: boolean): 0 | 1 | 2 {
  const name = program.name();
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    // Commander answers a group without a command with its whole help, as an error.
    const what = error.code === 'commander.help' ? 'a command is missing' : oneLine(error);
    process.stderr.write(`${name}: ${what}; see ${wordsOf(program, args).join(' ')} --help\n`);
    return 2;
  }
  process.stderr.write(`${name}: ${oneLine(error)}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  return error instanceof UsageError ? 2 : 1;
}

/**
 * Runs one command line and returns its exit code: 0 done, 1 a fault (one line on standard error), 2 wrong usage.
 * @param args - without node and script
 */
export async function runProgram(
  shape: ProgramShape,
  args: readonly string[],
  options: { readonly debug?: boolean } = {},
): Promise<0 | 1 | 2> {
  const settings: IoSettings = { json: false, home: '', exitCode: 0 };
  const program = buildProgram(shape, processIo(settings), settings);
  // Whoever reads our output may have seen enough (`mesh … | head`); that is no fault of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return settings.exitCode;
  } catch (error) {
    return reportError(program, args, error, options.debug === true);
  }
}
