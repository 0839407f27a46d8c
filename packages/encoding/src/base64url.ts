import { EncodingError } from './errors.js';
import { asBuffer, asPlain } from './octets.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range begins there
const beyondAscii = /[^\u0000-\u007f]/;

/** Octets as base64url without padding or folding (encoding 5). */
export function encodeBase64Url(octets: Uint8Array): string {
  return asBuffer(octets).toString('base64url');
}

/**
 * The octets of a base64url text, read tolerantly (encoding 5): SP, TAB, CR, LF anywhere, `=` at the end, and `+` `/` of
 * plain base64 are accepted. Unused low bits of the last character are not judged: octets decide, never the text (S05).
 *
 * @throws EncodingError `alphabet` for anything else.
 */
export function decodeBase64Url(text: string): Uint8Array {
  // Node's decoder looks at the low octet of each code unit alone
  if (beyondAscii.test(text)) throw new EncodingError('alphabet', 'text is not base64url');
  const exact = decodeExact(text);
  if (exact !== undefined) return exact;
  const stripped = decodeExact(withoutSpace(text).replace(/={1,2}$/, ''));
  if (stripped === undefined) throw new EncodingError('alphabet', 'text is not base64url');
  return stripped;
}

/** Octet by octet: a pattern would take thirty times as long where every second character is a space. */
function withoutSpace(text: string): string {
  const octets = Buffer.from(text, 'latin1');
  let length = 0;
  for (let index = 0; index < octets.length; index++) {
    const octet = octets[index] as number;
    if (octet !== 0x20 && octet !== 0x0a && octet !== 0x0d && octet !== 0x09) octets[length++] = octet;
  }
  return octets.toString('latin1', 0, length);
}

/**
 * Decodes text that has nothing but characters of the alphabets; `undefined` if it has others. The text must not go beyond
 * Latin-1.
 *
 * Node skips what it does not know, so the number of decoded octets tells whether it skipped anything: one character less
 * always gives fewer octets, but for texts of 4n + 1 characters, which are never valid.
 */
export function decodeExact(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const octets = Buffer.from(text, 'base64url');
  return octets.length === Math.floor((text.length * 3) / 4) ? asPlain(octets) : undefined;
}
