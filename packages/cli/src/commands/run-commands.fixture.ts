/** Commands run inside a test: what they print is kept instead, and nothing is said on standard error. */
import { Command } from 'commander';
import { type CommandIo, type IoSettings, processIo } from '../command-io.js';

/** What a command came to. */
export interface Ran {
  /** The document of `--json`. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own
  readonly result: any;
  /** What people read. */
  readonly text: string;
  readonly exitCode: 0 | 1 | 2;
}

/** A group of commands, and what a test puts in place of the process. */
export interface RunOptions {
  readonly register: readonly ((program: Command, io: CommandIo) => void)[];
  readonly home: string;
  readonly io?: Partial<Pick<CommandIo, 'askSecret' | 'readFile'>>;
}

/** Runs one command line. @throws what the command throws, and CommanderError for wrong usage */
export async function runCommands({ register, home, io: replaced }: RunOptions, args: readonly string[]): Promise<Ran> {
  const settings: IoSettings = { json: false, home, exitCode: 0 };
  let printed = { result: undefined as unknown, text: '' };
  const print = (result: unknown, human: string | (() => string)): void => {
    printed = { result, text: typeof human === 'string' ? human : human() };
  };
  const members = Object.entries({ print, ...replaced }).map(([name, value]) => [name, { value }]);
  const io: CommandIo = Object.create(processIo(settings), Object.fromEntries(members));
  const program = new Command('mesh').exitOverride();
  for (const each of register) each(program, io);
  for (const group of program.commands) {
    for (const command of [group, ...group.commands]) {
      command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    }
  }
  await program.parseAsync([...args], { from: 'user' });
  return { ...printed, exitCode: settings.exitCode };
}
