/** What `npm start` and `npm run demo` say: progress to standard error, the result to standard output; colours on a terminal only. */

type Paint = (text: string) => string;

const painter =
  (stream: { isTTY?: boolean }) =>
  (code: number): Paint =>
  (text) =>
    stream.isTTY === true ? `\u001b[${code}m${text}\u001b[0m` : text;

const onOut = painter(process.stdout);
const onError = painter(process.stderr);

/** Something that matters on standard output, if that is a terminal. */
export const bold: Paint = onOut(1);

/** Something beside the point, and something to look at first. */
export const faint: Paint = onOut(2);
export const accent: Paint = onOut(36);

/** A line of progress. */
export function say(text: string): void {
  process.stderr.write(`${onError(36)('·')} ${text}\n`);
}

/** A line about something that went wrong. */
export function complain(text: string): void {
  process.stderr.write(`${onError(31)('✗')} ${text}\n`);
}

/** A line of the result. */
export function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}
