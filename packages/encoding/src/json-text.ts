import { isAscii, isUtf8 } from 'node:buffer';
import { EncodingError } from './errors.js';
import { int64Max, int64Min, narrow } from './json-value.js';

/**
 * The text of a JSON string, given what lies between its quotes. Raw CR, LF and TAB stay as they are: real payloads hold them.
 *
 * @throws EncodingError `syntax` for invalid UTF-8, unknown escapes, escapes that make no character.
 */
export function decodeText(octets: Buffer, start: number, end: number, escaped: boolean): string {
  const text = decodeUtf8(octets, start, end);
  return escaped ? resolveEscapes(text, start) : text;
}

/** @throws EncodingError `syntax` for invalid UTF-8 (Node would put replacement characters instead). */
export function decodeUtf8(octets: Buffer, start: number, end: number): string {
  const part = octets.subarray(start, end);
  if (isAscii(part)) return part.toString('latin1', 0, part.length);
  if (!isUtf8(part)) throw new EncodingError('syntax', 'string is not valid UTF-8', start);
  return part.toString('utf8', 0, part.length);
}

function resolveEscapes(text: string, offset: number): string {
  // a raw line feed may stand in a string, but not as the second half of an escape
  const malformed = /(?:^|[^\\])(?:\\\\)*\\[\t\n\r]/.test(text);
  const strict = text.replace(/[\t\n\r]/g, (raw) => (raw === '\t' ? '\\t' : raw === '\n' ? '\\n' : '\\r'));
  try {
    const unescaped = malformed ? undefined : (JSON.parse(`"${strict}"`) as string);
    if (unescaped?.isWellFormed()) return unescaped;
  } catch {
    // falls through: the engine's own message would quote the input
  }
  throw new EncodingError('syntax', 'invalid escape in a string', offset);
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
