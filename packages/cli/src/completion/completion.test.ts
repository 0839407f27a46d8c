/** What shells offer is what the program takes: read from the same tree. */
import { execFileSync } from 'node:child_process';
import { Argument, Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { processIo } from '../command-io.js';
import { buildProgram, meshShape } from '../program.js';
import { bashCompletion } from './bash.js';
import { fishCompletion } from './fish.js';
import { completedCommands } from './tree.js';
import { zshCompletion } from './zsh.js';

const settings = { json: false, home: '', exitCode: 0 } as const;
const mesh = buildProgram(meshShape, processIo({ ...settings }), { ...settings });
const tree = completedCommands(mesh);
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];

/** What bash offers behind a line whose last word is not finished. */
function offered(script: string, ...words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const run = `${script}
COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}
compopt() { COMPREPLY+=("(files)"); }
_${words[0]}_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', run], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

describe('the tree of commands', () => {
  it('has every command and every option of the program, each where it is good', () => {
    const shown = all(mesh).filter((command) => !(command as unknown as { _hidden: boolean })._hidden);
    expect(tree).toHaveLength(shown.length);
    for (const [at, command] of shown.entries()) {
      const names = tree[at]?.options.map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(command.options.map(({ long }) => long)));
      expect(names).toContain('--json');
    }
    expect(tree.map(({ path }) => path.join(' '))).toContain('mesh account service authoritative');
  });

  it('knows what follows an option, and hides what is hidden', () => {
    const program = new Command('tool').option('--home <dir>', 'a folder');
    program
      .command('do')
      .addArgument(new Argument('<what>'))
      .addOption(new Option('--how <way>', 'in which way').choices(['fast', 'well']))
      .addOption(new Option('--secret').hideHelp());
    program.command('gone', { hidden: true });
    const [root, done, ...others] = completedCommands(program);
    expect([root?.takesArguments, done?.takesArguments, others]).toEqual([false, true, []]);
    expect(root?.commands.map(({ name }) => name)).toEqual(['do']);
    expect(done?.options.map(({ name, value }) => [name, value])).toEqual([
      ['--how', ['fast', 'well']],
      ['--help', 'none'],
      ['--home', 'any'],
    ]);
  });
});

describe('scripts', () => {
  it('bash offers commands, options and their values, and is not led astray by values that are commands', () => {
    const script = bashCompletion('mesh', tree);
    expect(offered(script, 'mesh', 'acc')).toEqual(['account']);
    expect(offered(script, 'mesh', 'account', 'service', 'a')).toEqual(['add', 'authoritative']);
    expect(offered(script, 'mesh', '--home', 'account', 'account', 'mo')).toEqual(['move', '(files)'].slice(0, 1));
    expect(offered(script, 'mesh', 'account', 'move', '--u')).toEqual(['--url', '--undo', '(files)']);
    expect(offered(script, 'mesh', '--encoding', '')).toEqual(['json', 'json-b']);
    expect(offered(script, 'mesh', 'account', 'move', '--ca', '')).toEqual(['(files)']);
  });

  it.each([
    ['zsh', zshCompletion('mesh', tree)],
    ['fish', fishCompletion('mesh', tree)],
    ['bash', bashCompletion('mesh', tree)],
  ])('%s names every command and option, and quotes what it says of them', (shell, script) => {
    for (const { path, options, commands } of tree) {
      expect(script).toContain(path.join(' '));
      for (const { name } of commands) expect(script).toContain(name);
      for (const { name } of options) expect(script).toContain(shell === 'fish' ? `-l ${name.slice(2)}` : name);
    }
    expect(script.split("'").length % 2).toBe(1);
  });
});
