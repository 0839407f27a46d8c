import { jsonDepthMax, jsonItemsMax } from '@meshd/limits/limits';
import { decodeBase64Url } from './base64url.js';
import {
  codeBinary,
  codeBinaryChunk,
  codeFalse,
  codeFloat16,
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
import { asPlain } from './octets.js';
import { isDigit, minus, quoteMark, Scanner } from './scanner.js';

/** What a reader accepts, and its bounds. */
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

const comma = 0x2c;
const colon = 0x3a;
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
export class TokenReader extends Scanner {
  readonly refuseRepeated: boolean;
  /** Whether items of JSON-B are accepted. */
  readonly binaryItems: boolean;
  private readonly depthMax: number;
  private itemsLeft: number;
  private depth = 0;
  /** True after the opening of an object or array, until its first item: no comma is due. */
  private fresh = true;

  constructor(octets: Uint8Array, options: ReaderOptions = {}) {
    super(octets);
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
    if (this.binaryItems && (octet & 0xf8) === codeString) return this.itemText(codeString, codeStringChunk);
    return this.fail('type', 'a string is expected');
  }

  /** Octets: a base64url string, or an item of JSON-B. May share the memory of the input. */
  binary(): Uint8Array {
    const octet = this.peekOctet();
    if (octet === quoteMark) return this.quotedBinary();
    if (this.binaryItems && (octet & 0xf8) === codeBinary) {
      return asPlain(this.chunks(codeBinary, codeBinaryChunk));
    }
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
    return asPlain(this.octets.subarray(start, this.position));
  }

  /** Checks that nothing but white space is left. */
  end(): void {
    this.skipSpace();
    if (this.position < this.octets.length) this.fail('trailing', 'something follows the value');
  }

  // --- structure ---

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
      if ((octet & codeMask) === codeName) return this.itemText(codeName, -1);
    }
    return this.fail('syntax', 'a member name is expected');
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

  private skipString(): void {
    if (this.octets[this.position] === quoteMark) this.skipQuoted();
    else this.string();
  }

  /** Refuses a second member of one name; also for those who build objects from members themselves. */
  failRepeated(name: string): never {
    return this.fail('repeated-member', `member ${JSON.stringify(name.slice(0, 40))} stands twice`);
  }
}
