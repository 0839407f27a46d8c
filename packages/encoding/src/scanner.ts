import { decodeBase64Url, decodeExact } from './base64url.js';
import { EncodingError, type EncodingErrorCode } from './errors.js';
import { codeFloat16, codeFloat32, codeInteger, codeMask } from './json-b-codes.js';
import { decodeText, decodeUtf8, integerOfDigits, readFloat16 } from './json-text.js';
import { int64Max, int64Min, narrow } from './json-value.js';
import { asBuffer } from './octets.js';

export const quoteMark = 0x22;
const backslash = 0x5c;
export const minus = 0x2d;

/**
 * The lexical half of `TokenReader`: strings, octets, numbers and items at a position in one buffer. Knows nothing of
 * objects and arrays.
 */
export class Scanner {
  protected readonly octets: Buffer;
  protected position = 0;
  /** Whether the number taken last as text had a fraction or exponent. */
  protected fractional = false;
  /** Where the next backslash is, as far as known: the search from one long string serves all strings before it. */
  private nextBackslash = -1;
  /** End of the string walked last, whether it holds escapes, and whether nothing beyond ASCII. */
  private textEnd = 0;
  private textEscaped = false;
  private textAscii = true;

  protected constructor(octets: Uint8Array) {
    this.octets = asBuffer(octets);
  }

  protected skipSpace(): void {
    const { octets } = this;
    let octet = octets[this.position];
    while (octet === 0x20 || octet === 0x0a || octet === 0x0d || octet === 0x09) octet = octets[++this.position];
  }

  protected peekOctet(): number {
    this.skipSpace();
    return this.octets[this.position] ?? this.fail('syntax', 'the input ends early');
  }

  protected literal(text: string): string {
    const end = this.position + text.length;
    if (this.octets.toString('latin1', this.position, Math.min(end, this.octets.length)) !== text) {
      this.fail('syntax', 'no value begins like this');
    }
    this.position = end;
    return text;
  }

  // --- strings and octets ---

  /** Goes over a quoted string, leaving its end in `textEnd`. Refuses raw control characters but CR, LF, TAB. */
  private walkQuoted(): number {
    const { octets } = this;
    const start = this.position + 1;
    this.textEscaped = false;
    let all = 0;
    for (let index = start; index < octets.length; index++) {
      const octet = octets[index] as number;
      all |= octet;
      if (octet === quoteMark) {
        this.textEnd = index;
        this.textAscii = all < 0x80;
        this.position = index + 1;
        return start;
      }
      if (octet === backslash) {
        this.textEscaped = true;
        // a raw line feed may stand in a string, but not as the second half of an escape
        if ((octets[++index] ?? 0) < 0x20) this.fail('syntax', 'invalid escape in a string', index);
      } else if (octet < 0x20 && octet !== 0x0a && octet !== 0x0d && octet !== 0x09) {
        this.fail('syntax', 'raw control character in a string', index);
      }
    }
    return this.fail('syntax', 'a string does not end');
  }

  protected quotedText(): string {
    const start = this.walkQuoted();
    const { octets, textEnd: end, textEscaped } = this;
    if (this.textAscii && !textEscaped) return octets.toString('latin1', start, end);
    return decodeText(octets, start, end, textEscaped);
  }

  /** Goes over a quoted string, checked like one that is wanted; makes a text only of what must be made one to be checked. */
  protected skipQuoted(): void {
    const start = this.walkQuoted();
    if (!this.textAscii || this.textEscaped) decodeText(this.octets, start, this.textEnd, this.textEscaped);
  }

  /**
   * Base64url between quotes. Long values are most of any message, so they take the quick way: native searches, native
   * decoding, and the decoded length tells whether every octet belonged to the alphabet. What is odd takes the other.
   */
  protected quotedBinary(): Uint8Array {
    const start = this.position + 1;
    const end = this.octets.indexOf(quoteMark, start);
    if (end < 0) this.fail('syntax', 'a string does not end');
    if (!this.backslashBetween(start, end)) {
      const decoded = decodeExact(this.octets.toString('latin1', start, end));
      if (decoded !== undefined) {
        this.position = end + 1;
        return decoded;
      }
    }
    return decodeBase64Url(this.quotedText());
  }

  private backslashBetween(start: number, end: number): boolean {
    if (this.nextBackslash < start) {
      const found = this.octets.indexOf(backslash, start);
      this.nextBackslash = found < 0 ? Number.POSITIVE_INFINITY : found;
    }
    return this.nextBackslash < end;
  }

  // --- items of JSON-B ---

  /** The octets of an item and its further chunks: the input's own memory for one chunk, else a copy. */
  protected chunks(last: number, further: number): Buffer {
    const start = this.position;
    const { bytes, count } = this.chunkSpan(last, further);
    if (count === 1) return this.octets.subarray(this.position - bytes, this.position);
    // walked twice: chunks may be tiny and many, and must not cost an object each
    const joined = Buffer.allocUnsafe(bytes);
    this.position = start;
    for (let filled = 0, left = count; left > 0; left--) {
      const length = this.itemLength(this.octets[this.position++] as number);
      filled += this.octets.copy(joined, filled, this.position, this.position + length);
      this.position += length;
    }
    return joined;
  }

  /** The text of an item and its further chunks. Names and most strings are one short chunk of ASCII. */
  protected itemText(last: number, further: number): string {
    const { octets } = this;
    if (octets[this.position] === last) {
      const start = this.position + 2;
      const end = start + (octets[start - 1] ?? 0);
      if (end <= octets.length && isShortAscii(octets, start, end)) {
        this.position = end;
        return octets.toString('latin1', start, end);
      }
    }
    const chunks = this.chunks(last, further);
    return decodeUtf8(chunks, 0, chunks.length);
  }

  /** Goes over an item and its further chunks; gives their number and their octets together. */
  protected chunkSpan(last: number, further: number): { bytes: number; count: number } {
    for (let bytes = 0, count = 1; ; count++) {
      const code = this.octets[this.position] ?? this.fail('syntax', 'the input ends early');
      const kind = code & codeMask;
      if (kind !== last && kind !== further) this.fail('syntax', 'a further chunk is expected');
      this.position++;
      const length = this.itemLength(code);
      this.position += length;
      bytes += length;
      if (kind === last) return { bytes, count };
    }
  }

  /** The length that follows a code, never more than what is left of the input. */
  private itemLength(code: number): number {
    const length = this.unsigned(1 << (code & 3));
    if (length > this.octets.length - this.position) this.fail('limit', 'an item is longer than the input');
    return Number(length);
  }

  private unsigned(width: number): number | bigint {
    const { octets } = this;
    const at = this.position;
    if (width > octets.length - at) this.fail('syntax', 'the input ends early');
    this.position += width;
    if (width === 8) return narrow(octets.readBigUInt64BE(at));
    return octets.readUIntBE(at, width);
  }

  protected integerItem(octet: number, code: number): number | bigint {
    const start = this.position++;
    const magnitude = this.unsigned(1 << (octet & 3));
    this.fractional = false;
    if (typeof magnitude === 'number') return code === codeInteger || magnitude === 0 ? magnitude : -magnitude;
    const value = code === codeInteger ? magnitude : -magnitude;
    if (value < int64Min || value > int64Max) this.fail('range', 'integer outside 64 bits', start);
    return narrow(value);
  }

  protected float(code: number): number {
    const at = ++this.position;
    const width = 2 << (code - codeFloat16);
    if (width > this.octets.length - at) this.fail('syntax', 'the input ends early');
    this.position += width;
    const { octets } = this;
    const value =
      code === codeFloat16
        ? readFloat16(octets, at)
        : code === codeFloat32
          ? octets.readFloatBE(at)
          : octets.readDoubleBE(at);
    // JSON has no form for them, and every value must have one in both encodings
    return Number.isFinite(value) ? value : this.fail('range', 'not a finite number', at);
  }

  // --- numbers as text ---

  protected numberText(): number | bigint {
    const { octets } = this;
    const start = this.position;
    if (octets[start] === minus) this.position++;
    const digits = this.digits();
    if (digits > 1 && octets[this.position - digits] === 0x30) this.fail('syntax', 'a number begins with zero', start);
    const fraction = octets[this.position] === 0x2e;
    if (fraction) {
      this.position++;
      this.digits();
    }
    const exponent = ((octets[this.position] ?? 0) | 0x20) === 0x65;
    if (exponent) {
      const sign = octets[++this.position];
      if (sign === minus || sign === 0x2b) this.position++;
      this.digits();
    }
    this.fractional = fraction || exponent;
    if (!this.fractional) return integerOfDigits(octets.toString('latin1', start, this.position), start);
    const value = Number(octets.toString('latin1', start, this.position));
    return Number.isFinite(value) ? value : this.fail('range', 'number out of range', start);
  }

  /** Takes digits, at least one; gives how many. */
  private digits(): number {
    const start = this.position;
    while (isDigit(this.octets[this.position] ?? 0)) this.position++;
    return this.position - start || this.fail('syntax', 'a digit is expected');
  }

  protected fail(code: EncodingErrorCode, message: string, offset = this.position): never {
    throw new EncodingError(code, message, offset);
  }
}

/** Up to this size looking at each octet costs less than asking the engine (measured: half). */
const shortTextBytes = 64;

function isShortAscii(octets: Buffer, start: number, end: number): boolean {
  if (end - start > shortTextBytes) return false;
  let all = 0;
  for (let at = start; at < end; at++) all |= octets[at] as number;
  return all < 0x80;
}

/** Whether an octet is an ASCII digit. */
export function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39;
}
