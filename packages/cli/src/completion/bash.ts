import { type CompletedCommand, quoted } from './tree.js';

/** How a shell calls the words of a command line: where they begin, the place of the one that is completed, and them all. */
interface ShellWords {
  readonly first: number;
  readonly current: string;
  readonly words: string;
}

/**
 * Lines that walk along a command line to the word that is completed, for shells that are alike in this, bash and zsh: then `at` is
 * the command that was reached, and `option` the option whose value comes next.
 */
export function walkLines(commands: readonly CompletedCommand[], { first, current, words }: ShellWords): string[] {
  return [
    `  for ((i = ${first}; i < ${current}; i++)); do`,
    `    word="\${${words}[i]}"`,
    '    if ((skip)); then skip=0; continue; fi',
    '    case "$at $word" in',
    ...valueCases(commands),
    ...walkCases(commands),
    '    esac',
    '  done',
    `  if ((skip)); then option="\${${words}[${current} - 1]}"; fi`,
    '  case "$at $option" in',
  ];
}

function walkCases(commands: readonly CompletedCommand[]): string[] {
  const steps = commands.flatMap(({ path, commands: below }) =>
    below.map(({ name }) => quoted([...path, name].join(' '))),
  );
  return steps.length === 0 ? [] : [`      ${steps.join('|')}) at="$at $word" ;;`];
}

/** Those of options that have a value, which is no command: by the command that they are given to. */
function valueCases(commands: readonly CompletedCommand[]): string[] {
  const names = commands.flatMap(({ path, options }) =>
    options.flatMap(({ name, value }) => (value === 'none' ? [] : [quoted(`${path.join(' ')} ${name}`)])),
  );
  return names.length === 0 ? [] : [`      ${names.join('|')}) skip=1; continue ;;`];
}

function casesOf({ path, options, commands, takesArguments }: CompletedCommand): string[] {
  const at = path.join(' ');
  const choices = options.flatMap(({ name, value }) =>
    typeof value === 'string' ? [] : [`    ${quoted(`${at} ${name}`)}) words=${quoted(value.join(' '))} ;;`],
  );
  const anything = options.flatMap(({ name, value }) => (value === 'any' ? [quoted(`${at} ${name}`)] : []));
  const files = anything.length === 0 ? [] : [`    ${anything.join('|')}) files=1 ;;`];
  const offered = [...commands.map(({ name }) => name), ...options.map(({ name }) => name)];
  const more = takesArguments ? '; files=1' : '';
  return [...choices, ...files, `    ${quoted(`${at} `)}) words=${quoted(offered.join(' '))}${more} ;;`];
}

/** The script for bash: `source <(mesh completion bash)`. */
export function bashCompletion(program: string, commands: readonly CompletedCommand[]): string {
  return [
    `# Completion of ${program} for bash. To have it: source <(${program} completion bash)`,
    `_${program}_complete() {`,
    `  local at=${quoted(program)} option='' skip=0 files=0 words='' word i`,
    ...walkLines(commands, { first: 1, current: 'COMP_CWORD', words: 'COMP_WORDS' }),
    ...commands.flatMap(casesOf),
    '  esac',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the shell
    '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")',
    '  if ((files)); then compopt -o default; fi',
    '}',
    `complete -F _${program}_complete ${program}`,
    '',
  ].join('\n');
}
