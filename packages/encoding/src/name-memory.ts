/**
 * Names of members as texts, remembered: a protocol has a few hundred of them and every message brings thirty, each of which
 * would be made anew, hashed and looked up by the engine (measured: a twentieth of a router's work). Values are never kept
 * here: passwords are among them.
 *
 * One text for each value of a small hash, the last that was seen: nobody can make it grow.
 */

/** Longer ones are not remembered; the schema's longest has 28 octets. */
const nameBytesMax = 32;
const slotCount = 512;

const names: string[] = new Array<string>(slotCount).fill('');

function isText(text: string, octets: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = start; at < end; at++) if (text.charCodeAt(at - start) !== octets[at]) return false;
  return true;
}

/** The text of a name that is ASCII. */
export function nameOf(octets: Buffer, start: number, end: number): string {
  if (end - start > nameBytesMax) return octets.toString('latin1', start, end);
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (octets[at] as number)) | 0;
  const slot = (hash ^ (hash >>> 9)) & (slotCount - 1);
  const known = names[slot] as string;
  if (isText(known, octets, start, end)) return known;
  const text = octets.toString('latin1', start, end);
  names[slot] = text;
  return text;
}
