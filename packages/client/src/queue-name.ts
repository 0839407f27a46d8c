/** Files of a queue sort by name, in the order in which they were put there. */
const nameDigits = 10;

/** The name behind all others. @param names sorted */
export function nextQueueName(names: readonly string[]): string {
  const last = names.at(-1);
  return String(last === undefined ? 1 : Number(last) + 1).padStart(nameDigits, '0');
}
