/** How the demo speaks: headings, explanations, commands with their output. Colours on a terminal only. */
import { accent, bold, faint, tell } from './speak.js';

const width = 100;

/** Lines of at most `columns` characters, broken at spaces. */
export function wrapped(text: string, columns = width): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

const indented = (text: string) => text.trimEnd().replace(/^(?=.)/gm, '    ');

let stepCount = 0;

/** A new step. */
export function heading(text: string): void {
  stepCount += 1;
  tell(`${bold(`${stepCount}. ${text}`)}\n`);
}

/** What happens, and why. */
export function explain(text: string): void {
  tell(`${wrapped(text)}\n`);
}

/** Something that was looked up, for people who want to see it. */
export function display(text: string): void {
  tell(`${faint(indented(text))}\n`);
}

/** A command as somebody types it. */
export function typed(prompt: string, command: string): void {
  tell(`  ${accent(`${prompt}$`)} ${bold(command)}`);
}

/** What it said. */
export function answered(output: string): void {
  tell(`${indented(output)}\n`);
}
