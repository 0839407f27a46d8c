import { isAscii, isUtf8 } from 'node:buffer';
import { EncodingError } from './errors.js';
import { int64Max, int64Min, narrow } from './json-value.js';

/**
 * The text of a JSON string, given what lies between its quotes. Raw CR, LF and TAB stay as they are: real payloads hold them.
 *
 * @throws EncodingError `syntax` for invalid UTF-8, unknown escapes, escapes that make no character.
 */
export function decodeText(octets: Buffer, start: number, end: number, escaped: boolean): string {
  if (!escaped) return decodeUtf8(octets, start, end);
  const part = octets.subarray(start, end);
  if (!isUtf8(part)) throw new EncodingError('syntax', 'string is not valid UTF-8', start);
  return resolveEscapes(part, start);
}

/** @throws EncodingError `syntax` for invalid UTF-8 (Node would put replacement characters instead). */
export function decodeUtf8(octets: Buffer, start: number, end: number): string {
  const part = octets.subarray(start, end);
  if (isAscii(part)) return part.toString('latin1', 0, part.length);
  if (!isUtf8(part)) throw new EncodingError('syntax', 'string is not valid UTF-8', start);
  return part.toString('utf8', 0, part.length);
}

function resolveEscapes(octets: Buffer, offset: number): string {
  try {
    const resolved = JSON.parse(`"${withoutRawControls(octets)}"`) as string;
    if (resolved.isWellFormed()) return resolved;
  } catch {
    // falls through: the engine's own message would quote the input
  }
  throw new EncodingError('syntax', 'invalid escape in a string', offset);
}

/**
 * The text with raw CR, LF and TAB escaped, as the engine wants them. None of them follows a backslash: who walked the
 * string saw to that. Octet by octet, since patterns take long where there are many.
 */
function withoutRawControls(octets: Buffer): string {
  const strict = Buffer.allocUnsafe(octets.length * 2);
  let length = 0;
  for (let index = 0; index < octets.length; index++) {
    const octet = octets[index] as number;
    const letter = octet === 0x0a ? 0x6e : octet === 0x0d ? 0x72 : octet === 0x09 ? 0x74 : 0;
    if (letter !== 0) strict[length++] = 0x5c;
    strict[length++] = letter || octet;
  }
  return strict.toString('utf8', 0, length);
}

/**
 * The value of an integer written in plain digits.
 *
 * @throws EncodingError `range` outside int64.
 */
export function integerOfDigits(digits: string, offset: number): number | bigint {
  // up to 15 digits any integer is safe
  if (digits.length <= 15) return Number(digits) + 0;
  const integer = digits.length > 20 ? undefined : BigInt(digits);
  if (integer === undefined || integer < int64Min || integer > int64Max) {
    throw new EncodingError('range', 'integer outside 64 bits', offset);
  }
  return narrow(integer);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
const escapedCharacters = /["\\\u0000-\u001f]/;
const allEscapedCharacters = new RegExp(escapedCharacters, 'g');

/** A text as a quoted JSON string; escapes as encoding 5 lists them, all else raw. */
export function quote(text: string): string {
  if (!escapedCharacters.test(text)) return `"${text}"`;
  const escaped = text.replace(allEscapedCharacters, (character) => {
    return shortEscapes.get(character) ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}

const shortEscapes = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
]);

/** An IEEE binary16, which Node's buffers cannot read. */
export function readFloat16(octets: Buffer, offset: number): number {
  const half = octets.readUInt16BE(offset);
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
