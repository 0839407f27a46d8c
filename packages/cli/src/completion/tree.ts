import type { Command } from 'commander';

/** What may follow an option: nothing, one of some words, or anything, for which shells offer files. */
export type ValueKind = 'none' | 'any' | readonly string[];

/** An option of a command, or of the program. */
export interface CompletedOption {
  /** `--name`. */
  readonly name: string;
  readonly description: string;
  readonly value: ValueKind;
}

/** A command, as shells see it. */
export interface CompletedCommand {
  /** Words that lead to it, the program's name first. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  /** It takes arguments, for which shells offer files. */
  readonly takesArguments: boolean;
}

const visible = (command: Command) => command.createHelp().visibleCommands(command);

function optionsOf(command: Command, inherited: readonly CompletedOption[]): CompletedOption[] {
  const own = command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description, required, optional, argChoices }): CompletedOption[] => {
      if (long === undefined || long === null) return [];
      return [{ name: long, description, value: argChoices ?? (required || optional ? 'any' : 'none') }];
    });
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...inherited.filter(({ name }) => !names.has(name))];
}

/** Every command of a program, itself first. Options of a command are good below it, too. */
export function completedCommands(
  command: Command,
  above: readonly string[] = [],
  inherited: readonly CompletedOption[] = [],
): CompletedCommand[] {
  const path = [...above, command.name()];
  const options = optionsOf(command, inherited);
  // The command `help` that commander adds repeats all names; `--help` does as well.
  const below = visible(command).filter((each) => command.commands.includes(each));
  const commands = below.map((each) => ({ name: each.name(), description: each.description() }));
  const takesArguments = command.registeredArguments.length > 0;
  const handedDown = options.filter(({ name }) => name !== '--help');
  const own = { path, description: command.description(), options, commands, takesArguments };
  return [own, ...below.flatMap((each) => completedCommands(each, path, handedDown))];
}

/** A text in single quotes, as all three shells read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '').replaceAll("'", '’')}'`;
}
