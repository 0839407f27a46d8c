import { EncodingError } from './errors.js';

/** RFC 4648 section 6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const groupLength = 4;

/** Character code to value, 255 where there is none; both cases. */
const values = new Uint8Array(128).fill(255);
for (let value = 0; value < alphabet.length; value++) {
  values[alphabet.charCodeAt(value)] = value;
  values[alphabet.toLowerCase().charCodeAt(value)] = value;
}

/**
 * Octets as Base32 characters without padding or dashes.
 *
 * @param bits how many leading bits to present; rounded up to whole characters as encoding 1.2 says (floor((bits + 4) / 5)),
 *   unused low bits of the last character zero. Default: all.
 * @throws RangeError if `octets` holds fewer bits than asked for.
 */
export function encodeBase32(octets: Uint8Array, bits: number = octets.length * 8): string {
  if (bits > octets.length * 8) throw new RangeError(`cannot present ${bits} bits of ${octets.length} octets`);
  let text = '';
  let buffer = 0;
  let buffered = 0;
  for (let used = 0, index = 0; used < bits; used += 5) {
    if (buffered < 5) {
      buffer = ((buffer << 8) | (octets[index++] ?? 0)) & 0xffff;
      buffered += 8;
    }
    buffered -= 5;
    let value = (buffer >> buffered) & 31;
    const excess = used + 5 - bits;
    if (excess > 0) value = (value >> excess) << excess;
    text += alphabet[value];
  }
  return text;
}

/** Base32 in upper case with a dash after every four characters, as fingerprints are shown and compared. */
export function presentBase32(octets: Uint8Array, bits?: number): string {
  return inGroups(encodeBase32(octets, bits));
}

/**
 * The whole octets of a Base32 text. Dashes and case are ignored; left-over bits are dropped and never judged, since
 * 132 bit nonces and 140 bit digests have them (encoding 1.2).
 *
 * @throws EncodingError `alphabet` for any other character or fewer than two.
 */
export function decodeBase32(text: string): Uint8Array {
  const plain = stripDashes(text);
  const octets = new Uint8Array(Math.floor((plain.length * 5) / 8));
  let buffer = 0;
  let buffered = 0;
  let index = 0;
  for (let position = 0; position < plain.length; position++) {
    buffer = ((buffer << 5) | (values[plain.charCodeAt(position)] ?? 0)) & 0xfff;
    buffered += 5;
    if (buffered >= 8) {
      buffered -= 8;
      octets[index++] = (buffer >> buffered) & 255;
    }
  }
  return octets;
}

/**
 * The one form in which identifiers are compared: upper case with dashes. Left-over bits stay, they count (encoding 1.2).
 *
 * @throws EncodingError `alphabet`.
 */
export function canonicalBase32(text: string): string {
  return inGroups(stripDashes(text).toUpperCase());
}

function stripDashes(text: string): string {
  const plain = text.replaceAll('-', '');
  if (plain.length < 2) throw new EncodingError('alphabet', 'Base32 text has fewer than two characters');
  for (let index = 0; index < plain.length; index++) {
    // charCodeAt past the table gives undefined; both mean "not a character of the alphabet"
    if ((values[plain.charCodeAt(index)] ?? 255) === 255) {
      throw new EncodingError('alphabet', 'character outside the Base32 alphabet');
    }
  }
  return plain;
}

function inGroups(plain: string): string {
  let text = plain.slice(0, groupLength);
  for (let index = groupLength; index < plain.length; index += groupLength) {
    text += `-${plain.slice(index, index + groupLength)}`;
  }
  return text;
}
