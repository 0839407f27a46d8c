import { walkLines } from './bash.js';
import { type CompletedCommand, quoted } from './tree.js';

/** `name:what it is`, as `_describe` takes it; a colon in the name would end it. */
const described = ({ name, description }: { readonly name: string; readonly description: string }) =>
  quoted(`${name.replaceAll(':', '\\:')}:${description}`);

function casesOf({ path, options, commands, takesArguments }: CompletedCommand): string[] {
  const at = path.join(' ');
  const choices = options.flatMap(({ name, value }) =>
    typeof value === 'string' ? [] : [`    ${quoted(`${at} ${name}`)}) offered=(${value.map(quoted).join(' ')}) ;;`],
  );
  const anything = options.flatMap(({ name, value }) => (value === 'any' ? [quoted(`${at} ${name}`)] : []));
  const files = anything.length === 0 ? [] : [`    ${anything.join('|')}) files=1 ;;`];
  const offered = [...commands, ...options].map(described).join(' ');
  const more = takesArguments ? ' files=1;' : '';
  return [...choices, ...files, `    ${quoted(`${at} `)}) offered=(${offered});${more};`];
}

/** The script for zsh: a file `_mesh` in a folder of `fpath`, or `source <(mesh completion zsh)` after `compinit`. */
export function zshCompletion(program: string, commands: readonly CompletedCommand[]): string {
  return [
    `#compdef ${program}`,
    `# Completion of ${program} for zsh. To have it, after compinit: source <(${program} completion zsh)`,
    `_${program}() {`,
    `  local at=${quoted(program)} option='' skip=0 files=0 word i`,
    '  local -a offered',
    ...walkLines(commands, { first: 2, current: 'CURRENT', words: 'words' }),
    ...commands.flatMap(casesOf),
    '  esac',
    `  if ((\${#offered})); then _describe ${quoted(program)} offered; fi`,
    '  if ((files)); then _files; fi',
    '}',
    `if [ "\${funcstack[1]}" = "_${program}" ]; then _${program} "$@"; else compdef _${program} ${program}; fi`,
    '',
  ].join('\n');
}
