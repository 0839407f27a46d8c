/**
 * What the root commands tell a person while they work: one line a step, a sign of life when a step takes long.
 * Plain text unless standard error is a terminal. Everything goes to standard error, so that standard output stays free
 * for results.
 */

const colours = process.stderr.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code, text) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);

/** How often a long step says that it is still at work, milliseconds. */
const signOfLifeMs = 15_000;

/** A line of progress. */
export function say(text) {
  process.stderr.write(`${paint('36', '·')} ${text}\n`);
}

/** A line about something that went wrong. */
export function complain(text) {
  process.stderr.write(`${paint('31', '✗')} ${text}\n`);
}

/**
 * Runs a step that may take long, saying when it starts, that it goes on, and how long it took.
 *
 * @template T
 * @param {string} text what the step does
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(text, work) {
  const startMs = performance.now();
  const seconds = () => Math.round((performance.now() - startMs) / 1000);
  say(`${text} …`);
  const timer = setInterval(() => say(`${text} … ${seconds()} s`), signOfLifeMs);
  try {
    const result = await work();
    if (seconds() >= 2) say(`${text}: done after ${seconds()} s`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
