import { jsonDepthMax, jsonItemsMax } from '@meshd/limits/limits';
import { decodeBase64Url, decodeExact } from './base64url.js';
import { EncodingError, type EncodingErrorCode } from './errors.js';
import {
  codeBinary,
  codeBinaryChunk,
  codeFalse,
  codeFloat16,
  codeFloat32,
  codeFloat64,
  codeInteger,
  codeMask,
  codeName,
  codeNegative,
  codeNull,
  codeString,
  codeStringChunk,
  codeTrue,
} from './json-b-codes.js';
import { decodeText, decodeUtf8, integerOfDigits, readFloat16 } from './json-text.js';
import { int64Max, int64Min, narrow } from './json-value.js';
import { asBuffer } from './octets.js';

export interface ReaderOptions {
  /** Accept the binary items of JSON-B. JSON text is accepted either way. Default false. */
  readonly binary?: boolean;
  /** Refuse an object that has a member twice (S20); else the last one counts. Default false. */
  readonly refuseRepeated?: boolean;
  /** Objects and arrays within each other. */
  readonly depthMax?: number;
  /** Members and elements of the whole input. */
  readonly itemsMax?: number;
}

/** What the next value is. `binary` occurs in JSON-B alone. */
export type TokenKind = 'object' | 'array' | 'string' | 'binary' | 'number' | 'boolean' | 'null';

const quoteMark = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Walks one JSON or JSON-B text token by token, without building anything that was not asked for.
 *
 * Reading is tolerant where real messages need it (raw CR, LF, TAB in strings, base64url in any dress) and strict in all
 * else. Nothing is allocated by a length that the input merely claims. Methods throw EncodingError; after that the reader
 * is of no further use.
 */
export class TokenReader {
  readonly refuseRepeated: boolean;
  private readonly octets: Buffer;
  private readonly binaryItems: boolean;
  private readonly depthMax: number;
  private itemsLeft: number;
  private position = 0;
  private depth = 0;
  /** True after the opening of an object or array, until its first item: no comma is due. */
  private fresh = true;
  /** Where the next backslash is, as far as known: the search from one long string serves all strings before it. */
  private nextBackslash = -1;
  /** End of the string walked last, and whether it holds escapes. */
  private textEnd = 0;
  private textEscaped = false;
  /** Whether the number taken last as text had a fraction or exponent. */
  private fractional = false;

  constructor(octets: Uint8Array, options: ReaderOptions = {}) {
    this.octets = asBuffer(octets);
    this.binaryItems = options.binary ?? false;
    this.refuseRepeated = options.refuseRepeated ?? false;
    this.depthMax = options.depthMax ?? jsonDepthMax;
    this.itemsLeft = options.itemsMax ?? jsonItemsMax;
    const { octets: o } = this;
    if (o[0] === 0xef && o[1] === 0xbb && o[2] === 0xbf) this.position = 3;
  }

  /** Octets read so far. */
  get offset(): number {
    return this.position;
  }

  /** What the next value is; takes nothing. */
  peek(): TokenKind {
    const octet = this.peekOctet();
    if (octet === quoteMark) return 'string';
    if (octet === openBrace) return 'object';
    if (octet === openBracket) return 'array';
    if (octet === minus || isDigit(octet)) return 'number';
    if (octet === 0x74 || octet === 0x66) return 'boolean';
    if (octet === 0x6e) return 'null';
    return this.peekItem(octet);
  }

  /** Takes `null` if it is next. */
  tryNull(): boolean {
    const octet = this.peekOctet();
    if (octet === 0x6e) this.literal('null');
    else if (octet === codeNull && this.binaryItems) this.position++;
    else return false;
    return true;
  }

  /** Takes the opening of an object; its members follow by `nextMember`. */
  enterObject(): void {
    this.enter(openBrace, 'an object');
  }

  /** The name of the object's next member, whose value must be taken next; `undefined` at its end. */
  nextMember(): string | undefined {
    if (!this.nextItem(closeBrace)) return undefined;
    const name = this.memberName();
    if (this.peekOctet() === colon) this.position++;
    else if (!this.binaryItems) this.fail('syntax', 'a colon is missing');
    return name;
  }

  /** Takes the opening of an array; its elements follow by `nextElement`. */
  enterArray(): void {
    this.enter(openBracket, 'an array');
  }

  /** Whether the array has a further element, which must be taken next. */
  nextElement(): boolean {
    return this.nextItem(closeBracket);
  }

  /** A string. */
  string(): string {
    const octet = this.peekOctet();
    if (octet === quoteMark) return this.quotedText();
    if (this.binaryItems && (octet & 0xf8) === codeString) {
      const chunks = this.chunks(codeString, codeStringChunk);
      return decodeUtf8(chunks, 0, chunks.length);
    }
    return this.fail('type', 'a string is expected');
  }

  /** Octets: a base64url string, or an item of JSON-B. May share the memory of the input. */
  binary(): Uint8Array {
    const octet = this.peekOctet();
    if (octet === quoteMark) return this.quotedBinary();
    if (this.binaryItems && (octet & 0xf8) === codeBinary) return this.chunks(codeBinary, codeBinaryChunk);
    if (this.binaryItems && (octet & 0xf8) === codeString) return decodeBase64Url(this.string());
    return this.fail('type', 'binary data is expected');
  }

  /** `true` or `false`. */
  boolean(): boolean {
    const octet = this.peekOctet();
    if (octet === 0x74) return this.literal('true') === 'true';
    if (octet === 0x66) return this.literal('false') === 'true';
    if (this.binaryItems && (octet === codeTrue || octet === codeFalse)) {
      this.position++;
      return octet === codeTrue;
    }
    return this.fail('type', 'true or false is expected');
  }

  /** An integer of 64 bits, exact; a fraction or exponent is refused. */
  int64(): number | bigint {
    const octet = this.peekOctet();
    const start = this.position;
    const float = this.binaryItems && octet >= codeFloat16 && octet <= codeFloat64;
    const value = this.number();
    if (float || this.fractional) this.fail('type', 'an integer is expected', start);
    return value;
  }

  /** An integer that a number holds exactly: all that Mesh members may be (schema 1). */
  integer(): number {
    const start = this.position;
    const value = this.int64();
    return typeof value === 'number' ? value : this.fail('range', 'integer beyond 53 bits', start);
  }

  /** Any number. Integers are exact; a JSON number with fraction or exponent, and the floats of JSON-B, are numbers. */
  number(): number | bigint {
    const octet = this.peekOctet();
    if (octet === minus || isDigit(octet)) return this.numberText();
    if (this.binaryItems && octet >= codeFloat16 && octet <= codeFloat64) return this.float(octet);
    const code = octet & codeMask;
    if (this.binaryItems && (code === codeInteger || code === codeNegative)) return this.integerItem(octet, code);
    return this.fail('type', 'a number is expected');
  }

  /** Takes a value of any kind, checked as thoroughly as if it had been wanted, and gives nothing. */
  skip(): void {
    switch (this.peek()) {
      case 'object':
        this.skipObject();
        return;
      case 'array':
        this.enterArray();
        while (this.nextElement()) this.skip();
        return;
      case 'string':
        this.skipString();
        return;
      case 'binary':
        this.chunkSpan(codeBinary, codeBinaryChunk);
        return;
      case 'number':
        this.number();
        return;
      case 'boolean':
        this.boolean();
        return;
      case 'null':
        this.tryNull();
    }
  }

  /** The octets of the next value as they stand, without white space around it; shares the memory of the input. */
  readRaw(): Uint8Array {
    this.peekOctet();
    const start = this.position;
    this.skip();
    return this.octets.subarray(start, this.position);
  }

  /** Checks that nothing but white space is left. */
  end(): void {
    this.skipSpace();
    if (this.position < this.octets.length) this.fail('trailing', 'something follows the value');
  }

  // --- structure ---

  private skipSpace(): void {
    const { octets } = this;
    let octet = octets[this.position];
    while (octet === 0x20 || octet === 0x0a || octet === 0x0d || octet === 0x09) octet = octets[++this.position];
  }

  private peekOctet(): number {
    this.skipSpace();
    return this.octets[this.position] ?? this.fail('syntax', 'the input ends early');
  }

  private peekItem(octet: number): TokenKind {
    if (this.binaryItems) {
      const code = octet & codeMask;
      if (code === codeString || code === codeStringChunk) return 'string';
      if (code === codeBinary || code === codeBinaryChunk) return 'binary';
      if (code === codeInteger || code === codeNegative) return 'number';
      if (octet >= codeFloat16 && octet <= codeFloat64) return 'number';
      if (octet === codeTrue || octet === codeFalse) return 'boolean';
      if (octet === codeNull) return 'null';
    }
    return this.fail('syntax', 'no value begins like this');
  }

  private enter(opening: number, what: string): void {
    if (this.peekOctet() !== opening) this.fail('type', `${what} is expected`);
    if (++this.depth > this.depthMax) this.fail('depth', `more than ${this.depthMax} levels`);
    this.position++;
    this.fresh = true;
  }

  /** Goes to the next item of the innermost object or array; takes the closing octet if there is none. */
  private nextItem(closing: number): boolean {
    let octet = this.peekOctet();
    if (octet === closing) {
      this.position++;
      this.depth--;
      this.fresh = false;
      return false;
    }
    if (!this.fresh) {
      if (octet === comma) {
        this.position++;
        octet = this.peekOctet();
        if (octet === closing) this.fail('syntax', 'nothing follows the comma');
      } else if (!this.binaryItems) {
        this.fail('syntax', 'a comma is missing');
      }
    }
    this.fresh = false;
    if (--this.itemsLeft < 0) this.fail('limit', 'too many members and elements');
    return true;
  }

  private memberName(): string {
    const octet = this.peekOctet();
    if (octet === quoteMark) return this.quotedText();
    if (this.binaryItems) {
      if ((octet & 0xf8) === codeString) return this.string();
      if ((octet & codeMask) === codeName) {
        const name = this.chunks(codeName, -1);
        return decodeUtf8(name, 0, name.length);
      }
    }
    return this.fail('syntax', 'a member name is expected');
  }

  private literal(text: string): string {
    const end = this.position + text.length;
    if (this.octets.toString('latin1', this.position, Math.min(end, this.octets.length)) !== text) {
      this.fail('syntax', 'no value begins like this');
    }
    this.position = end;
    return text;
  }

  private skipObject(): void {
    this.enterObject();
    const seen = this.refuseRepeated ? new Set<string>() : undefined;
    for (let name = this.nextMember(); name !== undefined; name = this.nextMember()) {
      if (seen?.has(name)) this.failRepeated(name);
      seen?.add(name);
      this.skip();
    }
  }

  // --- strings and octets ---

  /** Goes over a quoted string, leaving its end in `textEnd`. Refuses raw control characters but CR, LF, TAB. */
  private walkQuoted(): number {
    const { octets } = this;
    const start = this.position + 1;
    this.textEscaped = false;
    for (let index = start; index < octets.length; index++) {
      const octet = octets[index] as number;
      if (octet === quoteMark) {
        this.textEnd = index;
        this.position = index + 1;
        return start;
      }
      if (octet === backslash) {
        this.textEscaped = true;
        index++;
      } else if (octet < 0x20 && octet !== 0x0a && octet !== 0x0d && octet !== 0x09) {
        this.fail('syntax', 'raw control character in a string', index);
      }
    }
    return this.fail('syntax', 'a string does not end');
  }

  private quotedText(): string {
    const start = this.walkQuoted();
    return decodeText(this.octets, start, this.textEnd, this.textEscaped);
  }

  private skipString(): void {
    if (this.octets[this.position] === quoteMark) this.quotedText();
    else this.string();
  }

  /**
   * Base64url between quotes. Long values are most of any message, so they take the quick way: native searches, native
   * decoding, and the decoded length tells whether every octet belonged to the alphabet. What is odd takes the other.
   */
  private quotedBinary(): Uint8Array {
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
  private chunks(last: number, further: number): Buffer {
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

  /** Goes over an item and its further chunks; gives their number and their octets together. */
  private chunkSpan(last: number, further: number): { bytes: number; count: number } {
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

  private integerItem(octet: number, code: number): number | bigint {
    const start = this.position++;
    const magnitude = this.unsigned(1 << (octet & 3));
    this.fractional = false;
    if (typeof magnitude === 'number') return code === codeInteger || magnitude === 0 ? magnitude : -magnitude;
    const value = code === codeInteger ? magnitude : -magnitude;
    if (value < int64Min || value > int64Max) this.fail('range', 'integer outside 64 bits', start);
    return narrow(value);
  }

  private float(code: number): number {
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

  private numberText(): number | bigint {
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

  // --- failures ---

  /** Refuses a second member of one name; also for those who build objects from members themselves. */
  failRepeated(name: string): never {
    return this.fail('repeated-member', `member ${JSON.stringify(name.slice(0, 40))} stands twice`);
  }

  private fail(code: EncodingErrorCode, message: string, offset = this.position): never {
    throw new EncodingError(code, message, offset);
  }
}

function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39;
}
