/** Groups of commands (`mesh container …`) that more than one module adds to. */
import type { Command } from 'commander';

/** The group `name` of `program`; made on first use, whoever comes first. */
export function commandGroup(program: Command, name: string, description: string): Command {
  const found = program.commands.find((command) => command.name() === name);
  return found ?? program.command(name).description(description);
}
