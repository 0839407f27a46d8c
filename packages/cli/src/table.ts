/** Tables for people: columns under their names, nothing drawn around them. */
import Table from 'cli-table3';

const nothing = '';
const undrawn = {
  top: nothing,
  'top-mid': nothing,
  'top-left': nothing,
  'top-right': nothing,
  bottom: nothing,
  'bottom-mid': nothing,
  'bottom-left': nothing,
  'bottom-right': nothing,
  left: nothing,
  'left-mid': nothing,
  mid: nothing,
  'mid-mid': nothing,
  right: nothing,
  'right-mid': nothing,
  middle: '  ',
};

/** What a terminal would act upon, or show elsewhere than it stands: names inside entries are somebody's input. */
export const terminalControls = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;

/** A text of somebody else's on one line. */
export const shownText = (text: string): string => text.replace(terminalControls, '\ufffd');

/** Rows under a head, each cell as text. */
export function textTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
  const table = new Table({ head: [...head], chars: undrawn, style });
  for (const row of rows) table.push(row.map((cell) => shownText(String(cell))));
  // Padding of the last column would only be in the way of copying.
  return table.toString().replace(/ +$/gm, '');
}
