import { EncodingError } from './errors.js';
import {
  codeBinary,
  codeFalse,
  codeFloat64,
  codeInteger,
  codeName,
  codeNegative,
  codeNull,
  codeString,
  codeTrue,
} from './json-b-codes.js';
import { quote } from './json-text.js';
import { int64Max, int64Min } from './json-value.js';
import { asBuffer, asPlain } from './octets.js';

/** The two encodings offered: JSON text, and JSON-B with binary items (encoding 4). */
export type Form = 'json' | 'json-b';

/** A member name made ready for both encodings, once, since names are written far more often than made. */
export interface PreparedName {
  readonly json: Uint8Array;
  readonly jsonB: Uint8Array;
}

const firstBytes = 512;
const comma = 0x2c;
const colon = 0x3a;
const quoteMark = 0x22;
const backslash = 0x5c;
/** Up to this length looking at each character costs less than asking the engine (measured: half). */
const shortTextLength = 64;

/*
 * Memory of writers that are done, for those to come. Nearly every text is written in one go: its writer would begin with
 * a few octets, double them until the text fits, and leave all that to the collector, which looks at the whole heap once
 * so much lies outside it.
 */
const spares: Buffer[] = [];
const nothing = Buffer.alloc(0);
const sparesCountMax = 4;
/** Memory beyond this is not kept: one large text must not hold it for good. */
const spareBytesMax = 1024 * 1024;

function takeMemory(): Buffer {
  return spares.pop() ?? Buffer.allocUnsafe(firstBytes);
}

/** The text in memory of its own; that of the writer is for the next one, or nobody's: a short text must not hold it. */
function leaveMemory(octets: Buffer, length: number): Uint8Array {
  const text = octets.subarray(0, length);
  // Grown for this very text, which fills half of it at least.
  if (octets.length > spareBytesMax) return asPlain(text);
  if (spares.length < sparesCountMax) spares.push(octets);
  return asPlain(Buffer.from(text));
}

/**
 * Writes one JSON or JSON-B text token by token: no white space, no folding; in JSON-B the shortest lengths and no
 * separators (encoding 4.3). The caller sees to it that openings, names and values follow each other sensibly.
 */
export class TokenWriter {
  readonly form: Form;
  private readonly json: boolean;
  private octets = takeMemory();
  private length = 0;
  /** Whether a JSON comma is due before the next item. */
  private separate = false;

  constructor(form: Form) {
    this.form = form;
    this.json = form === 'json';
  }

  beginObject(): void {
    this.open(0x7b);
  }

  endObject(): void {
    this.close(0x7d);
  }

  beginArray(): void {
    this.open(0x5b);
  }

  endArray(): void {
    this.close(0x5d);
  }

  /** A member name. */
  name(name: string): void {
    this.string(name, codeName);
    if (this.json) this.octet(colon);
    this.separate = false;
  }

  /** A member name made by `prepareName`. */
  preparedName(name: PreparedName): void {
    this.separator();
    this.copy(this.json ? name.json : name.jsonB);
    this.separate = false;
  }

  /** @throws EncodingError `alphabet` if the text has a lone surrogate, which has no octets. */
  string(text: string, code = codeString): void {
    if (text.length <= shortTextLength && this.shortText(text, code)) return;
    if (!text.isWellFormed()) throw new EncodingError('alphabet', 'text holds a lone surrogate');
    this.separator();
    if (this.json) this.text(quote(text), 'utf8');
    else {
      this.header(code, Buffer.byteLength(text));
      this.text(text, 'utf8');
    }
    this.separate = true;
  }

  /** Octets: base64url in JSON, one item in JSON-B. */
  binary(octets: Uint8Array): void {
    this.separator();
    if (this.json) {
      this.text(`"${asBuffer(octets).toString('base64url')}"`, 'latin1');
    } else {
      this.header(codeBinary, octets.length);
      this.copy(octets);
    }
    this.separate = true;
  }

  /** @throws EncodingError `range` for what is not an integer of 64 bits. */
  integer(value: number | bigint): void {
    if (typeof value === 'number' ? !Number.isSafeInteger(value) : value < int64Min || value > int64Max) {
      throw new EncodingError('range', 'not an integer of 64 bits');
    }
    this.separator();
    if (this.json) this.text(String(value), 'latin1');
    else if (value < 0) this.header(codeNegative, -value);
    else this.header(codeInteger, value);
    this.separate = true;
  }

  /** Any finite number: those that are safe integers as such, others as a JSON number or a binary64. */
  number(value: number): void {
    if (Number.isSafeInteger(value)) {
      this.integer(value);
      return;
    }
    if (!Number.isFinite(value)) throw new EncodingError('range', 'not a finite number');
    this.separator();
    if (this.json) this.text(floatText(value), 'latin1');
    else {
      this.octet(codeFloat64);
      this.reserve(8);
      this.length = this.octets.writeDoubleBE(value, this.length);
    }
    this.separate = true;
  }

  boolean(value: boolean): void {
    this.separator();
    if (this.json) this.text(value ? 'true' : 'false', 'latin1');
    else this.octet(value ? codeTrue : codeFalse);
    this.separate = true;
  }

  null(): void {
    this.separator();
    if (this.json) this.text('null', 'latin1');
    else this.octet(codeNull);
    this.separate = true;
  }

  /** A value that is encoded already, as it stands: JSON text fits both encodings, JSON-B only its own. */
  raw(octets: Uint8Array): void {
    this.separator();
    this.copy(octets);
    this.separate = true;
  }

  /** What was written since the last time; the text goes on. For texts that leave before they are whole. */
  take(): Uint8Array {
    const taken = asPlain(Buffer.from(this.octets.subarray(0, this.length)));
    this.length = 0;
    return taken;
  }

  /** Octets written, for who does not want the text. */
  get bytes(): number {
    return this.length;
  }

  /** What was written; the writer is done with it. */
  finish(): Uint8Array {
    const text = leaveMemory(this.octets, this.length);
    this.octets = nothing;
    this.length = 0;
    return text;
  }

  /** Writes a short text if it is plain ASCII without escapes, as names and most texts are. */
  private shortText(text: string, code: number): boolean {
    const { json } = this;
    this.reserve(text.length + 3);
    const { octets } = this;
    let at = this.length;
    if (this.separate && json) octets[at++] = comma;
    octets[at++] = json ? quoteMark : code;
    if (!json) octets[at++] = text.length;
    for (let index = 0; index < text.length; index++) {
      const character = text.charCodeAt(index);
      if (character > 0x7f) return false;
      if (json && (character < 0x20 || character === quoteMark || character === backslash)) return false;
      octets[at++] = character;
    }
    if (json) octets[at++] = quoteMark;
    this.length = at;
    this.separate = true;
    return true;
  }

  private open(octet: number): void {
    this.separator();
    this.octet(octet);
    this.separate = false;
  }

  private close(octet: number): void {
    this.octet(octet);
    this.separate = true;
  }

  private separator(): void {
    if (this.separate && this.json) this.octet(comma);
  }

  /** A code and the length or magnitude that follows it, in the fewest octets of 1, 2, 4, 8. */
  private header(code: number, value: number | bigint): void {
    this.reserve(9);
    const { octets } = this;
    if (value <= 0xff) {
      octets[this.length] = code;
      this.length = octets.writeUInt8(Number(value), this.length + 1);
    } else if (value <= 0xffff) {
      octets[this.length] = code + 1;
      this.length = octets.writeUInt16BE(Number(value), this.length + 1);
    } else if (value <= 0xffffffff) {
      octets[this.length] = code + 2;
      this.length = octets.writeUInt32BE(Number(value), this.length + 1);
    } else {
      octets[this.length] = code + 3;
      this.length = octets.writeBigUInt64BE(BigInt(value), this.length + 1);
    }
  }

  private octet(octet: number): void {
    this.reserve(1);
    this.octets[this.length++] = octet;
  }

  private copy(octets: Uint8Array): void {
    this.reserve(octets.length);
    this.octets.set(octets, this.length);
    this.length += octets.length;
  }

  private text(text: string, encoding: 'latin1' | 'utf8'): void {
    this.reserve(encoding === 'utf8' ? text.length * 3 : text.length);
    this.length += this.octets.write(text, this.length, encoding);
  }

  private reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.octets.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.octets.length * 2));
    this.octets.copy(larger, 0, 0, this.length);
    this.octets = larger;
  }
}

/** A member name in both encodings. */
export function prepareName(name: string): PreparedName {
  const [json, jsonB] = (['json', 'json-b'] as const).map((form) => {
    const writer = new TokenWriter(form);
    writer.name(name);
    return Buffer.from(writer.finish());
  }) as [Buffer, Buffer];
  return { json, jsonB };
}

/** Shortest text that reads back the same; an integer beyond 2^53 gets an exponent, so that it is not taken for an int64. */
function floatText(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : value.toExponential();
}
