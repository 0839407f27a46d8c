/** `mesh completion bash|zsh|fish`: the script by which a shell completes this program's command lines. */
import { Argument, type Command } from 'commander';
import type { CommandIo } from '../command-io.js';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { type CompletedCommand, completedCommands } from '../completion/tree.js';
import { zshCompletion } from '../completion/zsh.js';

const scripts: Readonly<Record<string, (program: string, commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Adds the command. */
export function registerCompletionCommand(program: Command, io: CommandIo): void {
  program
    .command('completion')
    .description('the script by which a shell completes command lines of this program')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Examples:
  source <(${program.name()} completion bash)     in ~/.bashrc
  source <(${program.name()} completion zsh)      in ~/.zshrc, after compinit
  ${program.name()} completion fish | source      in ~/.config/fish/config.fish`,
    )
    .action((shell: string) => {
      const name = program.name();
      const script = scripts[shell]?.(name, completedCommands(program)) ?? '';
      io.print({ shell, script }, script.trimEnd());
    });
}
