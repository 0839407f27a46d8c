import { type CompletedCommand, type CompletedOption, quoted } from './tree.js';

const conditionOf = (program: string, path: readonly string[]) => `-n ${quoted(`__${program}_at ${path.join(' ')}`)}`;

function optionLine(program: string, path: readonly string[], { name, description, value }: CompletedOption): string {
  const head = `complete -c ${program} ${conditionOf(program, path)} -l ${name.slice(2)} -d ${quoted(description)}`;
  if (value === 'none') return head;
  return value === 'any' ? `${head} -r -F` : `${head} -x -a ${quoted(value.join(' '))}`;
}

function linesOf(program: string, { path, options, commands, takesArguments }: CompletedCommand): string[] {
  const condition = conditionOf(program, path);
  return [
    ...commands.map(
      ({ name, description }) => `complete -c ${program} ${condition} -a ${quoted(name)} -d ${quoted(description)}`,
    ),
    ...options.map((option) => optionLine(program, path, option)),
    ...(takesArguments ? [`complete -c ${program} ${condition} -F`] : []),
  ];
}

/** The script for fish: `mesh completion fish | source`. */
export function fishCompletion(program: string, commands: readonly CompletedCommand[]): string {
  const steps = commands.flatMap(({ path, commands: below }) => below.map(({ name }) => [...path, name].join(' ')));
  const values = commands.flatMap(({ path, options }) =>
    options.flatMap(({ name, value }) => (value === 'none' ? [] : [`${path.join(' ')} ${name}`])),
  );
  return [
    `# Completion of ${program} for fish. To have it: ${program} completion fish | source`,
    `function __${program}_at`,
    `    set -l at ${program}`,
    '    set -l skip 0',
    '    for word in (commandline -opc)[2..]',
    '        if test $skip = 1',
    '            set skip 0',
    '            continue',
    '        end',
    `        if contains -- "$at $word" ${values.map(quoted).join(' ')}`,
    '            set skip 1',
    `        else if contains -- "$at $word" ${steps.map(quoted).join(' ')}`,
    '            set at "$at $word"',
    '        end',
    '    end',
    '    test "$at" = "$argv"',
    'end',
    `complete -c ${program} -f`,
    ...commands.flatMap((command) => linesOf(program, command)),
    '',
  ].join('\n');
}
