import type { Kind } from '@meshd/encoding/codec';
import { EncodingError } from '@meshd/encoding/errors';
import { binaryItemBytes } from '@meshd/encoding/json-b-codes';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { TokenReader } from '@meshd/encoding/token-reader';
import { TokenWriter } from '@meshd/encoding/token-writer';
import { copyValue, transcode } from '@meshd/encoding/transcode';
import { envelopePartBytesMax } from '@meshd/limits/limits';
import { binaryShapes, copyShaped } from './binary-shapes.js';
import { DareError } from './errors.js';

/**
 * An envelope as octets, the form in which it is stored and forwarded (encoding 2.1). Header and trailer are JSON text
 * whatever encoding they arrived in, unknown members included, raw control characters escaped; payload octets are
 * untouched, because they are what is signed.
 */
export interface EnvelopeOctets {
  readonly header: Uint8Array;
  /** null: left out (redacted). An empty payload is not left out. */
  readonly payload: Uint8Array | null;
  readonly trailer: Uint8Array | null;
}

/** What plain JSON text on one line does not hold: control characters, and anything beyond ASCII. */
const oddCharacter = /[^ -~]/;

function isOdd(octets: Uint8Array): boolean {
  return oddCharacter.test(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1'));
}

/** Header or trailer as JSON text: as it stands if it is plain already, else written anew. */
function jsonTextOf(raw: Uint8Array): Uint8Array {
  return bounded(isOdd(raw) ? transcode(raw, 'json', 'json') : raw);
}

function bounded(part: Uint8Array): Uint8Array {
  if (part.length <= envelopePartBytesMax) return part;
  throw partTooLarge();
}

function partTooLarge(): EncodingError {
  return new EncodingError('limit', 'header or trailer of an envelope is too large');
}

/**
 * Header or trailer text from elsewhere than a reader (a frame of a container file): checked to be one JSON object and
 * brought into the stored form.
 *
 * @throws EncodingError if it is no JSON object or beyond the bound.
 */
export function partOctets(text: Uint8Array): Uint8Array {
  const value = parseJson(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new EncodingError('type', 'header and trailer of an envelope are objects');
  }
  return jsonTextOf(text);
}

function expectObject(reader: TokenReader): void {
  if (reader.peek() !== 'object') throw new EncodingError('type', 'header and trailer of an envelope are objects');
}

function readPart(reader: TokenReader): Uint8Array {
  expectObject(reader);
  if (!reader.binaryItems) return jsonTextOf(reader.readRaw());
  // one pass: with items of JSON-B the octets never are the text that is wanted
  const writer = new TokenWriter('json');
  copyValue(reader, writer);
  return bounded(writer.finish());
}

/** Reads a part as octets that a taker decodes: one pass where raw text and decoding would take two. */
function takePart<Part>(reader: TokenReader, take: (reader: TokenReader) => Part): { part: Part; bytes: number } {
  expectObject(reader);
  const start = reader.offset;
  const part = take(reader);
  return { part, bytes: reader.offset - start };
}

/** As {@link takePart}, with the text as well. JSON only. */
export function takeText<Part>(
  reader: TokenReader,
  octets: Uint8Array,
  take: (reader: TokenReader) => Part,
): { readonly part: Part; readonly text: Uint8Array } {
  const { part, bytes } = takePart(reader, take);
  const text = new Uint8Array(octets.buffer, octets.byteOffset + reader.offset - bytes, bytes);
  return { part, text: jsonTextOf(text) };
}

/** A part that is only decoded; its size is bounded as it stands. */
export function takeDecoded<Part>(reader: TokenReader, take: (reader: TokenReader) => Part): Part {
  const { part, bytes } = takePart(reader, take);
  if (bytes > envelopePartBytesMax) throw partTooLarge();
  return part;
}

/**
 * Walks the array of an envelope.
 *
 * @param header, trailer read these parts.
 * @throws EncodingError, or DareError `shape` for an array that is no envelope.
 */
export function readEnvelopeArray<H, T>(
  reader: TokenReader,
  header: (reader: TokenReader) => H,
  trailer: (reader: TokenReader) => T,
): { readonly header: H; readonly payload: Uint8Array | null; readonly trailer: T | null } {
  reader.enterArray();
  if (!reader.nextElement()) throw new DareError('shape', 'an envelope has a header');
  const first = header(reader);
  let payload: Uint8Array | null = null;
  let last: T | null = null;
  if (reader.nextElement()) {
    payload = reader.tryNull() ? null : reader.binary();
    if (reader.nextElement()) {
      if (!reader.tryNull()) last = trailer(reader);
      if (reader.nextElement()) throw new DareError('shape', 'an envelope has at most three elements');
    }
  }
  return { header: first, payload, trailer: last };
}

function parsePart(octets: Uint8Array): JsonObject {
  return parseJson(octets) as JsonObject;
}

function writePart(writer: TokenWriter, octets: Uint8Array): void {
  if (writer.form === 'json-b') copyShaped(new TokenReader(octets), writer, binaryShapes.header);
  else writer.raw(octets);
}

function writeEnvelopeValue(writer: TokenWriter, octets: EnvelopeOctets): void {
  writer.beginArray();
  if (octets.payload === null) {
    // The redacted form is written as one element, whichever way it was received.
    const merged = octets.trailer === null ? octets.header : mergeParts(octets.header, octets.trailer);
    writePart(writer, merged);
  } else {
    writePart(writer, octets.header);
    writer.binary(octets.payload);
    if (octets.trailer !== null) writePart(writer, octets.trailer);
  }
  writer.endArray();
}

/** What the item of an empty payload takes in JSON-B: code and length. */
const emptyItemBytes = 2;

/** Size in octets by which limits on messages are measured: the envelope in JSON-B (encoding 2.1). */
export function envelopeBytes(octets: EnvelopeOctets): number {
  const writer = new TokenWriter('json-b');
  const { payload } = octets;
  writeEnvelopeValue(writer, payload === null ? octets : { ...octets, payload: nothing });
  const bytes = writer.bytes;
  writer.finish();
  return payload === null ? bytes : bytes - emptyItemBytes + binaryItemBytes(payload.length);
}

const nothing = new Uint8Array(0);

/** No item of JSON-B takes more than three times the octets of its JSON text: `1e9` and a comma become nine. */
const growthMax = 3;
/** The array around the parts. */
const framingBytes = 2;

/** What {@link envelopeBytes} cannot exceed: a look at three lengths, enough for nearly all that is to be bounded. */
export function envelopeBytesAtMost({ header, payload, trailer }: EnvelopeOctets): number {
  const partBytes = header.length + (trailer?.length ?? 0);
  return growthMax * partBytes + binaryItemBytes(payload?.length ?? 0) + framingBytes;
}

/** Whether an envelope has at most so many octets, as {@link envelopeBytes} counts them. */
export function isWithin(octets: EnvelopeOctets, bytesMax: number): boolean {
  return envelopeBytesAtMost(octets) <= bytesMax || envelopeBytes(octets) <= bytesMax;
}

/** The trailer's members moved into the header; where both have one, the trailer's counts, as when opened. */
export function mergeParts(header: Uint8Array, trailer: Uint8Array): Uint8Array {
  return writeJson(Object.assign(parsePart(header), parsePart(trailer)));
}

/** An envelope as the value of a member: `[header, payload, trailer]` in JSON, the same with a binary item in JSON-B. */
export const envelope: Kind<EnvelopeOctets> = {
  name: 'DareEnvelope',
  read: (reader) => readEnvelopeArray(reader, readPart, readPart),
  write: writeEnvelopeValue,
};
