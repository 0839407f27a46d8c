/** How a line's speed is written. */

const units: Readonly<Record<string, number>> = { bit: 1, kbit: 1000, mbit: 1_000_000, gbit: 1_000_000_000 };

/**
 * Bits a second of `10mbit`, `512kbit`, `1gbit`.
 *
 * @returns undefined for any other form
 */
export function readRate(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([kmg]?bit)$/.exec(text) ?? [];
  const bits = Number(digits) * (units[unit] ?? Number.NaN);
  return bits >= 1 ? Math.round(bits) : undefined;
}
