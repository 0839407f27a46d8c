import { concat } from '@meshd/crypto/digest';
import { containerFrameBytesMax } from '@meshd/limits/limits';
import { DareError } from './errors.js';

/*
 * Records and frames of a container file (encoding 3.1). A record is tag, length, data; a frame is the same with tag
 * and length once more behind, octets reversed, so that a file can be read from its end.
 */

const recordBase = 0xf0;
const frameBase = 0xf4;

/** Where the octets of a container lie: memory, or a file that is read piecewise. */
export interface OctetSource {
  /** Octets in all. */
  readonly size: number;
  /** `length` octets from `offset`; both lie inside. */
  read(offset: number, length: number): Uint8Array;
}

/** A source over octets in memory. */
export function memorySource(octets: Uint8Array): OctetSource {
  return { size: octets.length, read: (offset, length) => octets.subarray(offset, offset + length) };
}

/** The records of one frame, as they stand. */
export interface FrameRecords {
  /** JSON text of the header object. */
  readonly header: Uint8Array;
  /** Absent where the record is; an empty record is an empty payload. */
  readonly payload?: Uint8Array | undefined;
  /** JSON text; absent or empty where there is none. */
  readonly trailer?: Uint8Array | undefined;
}

/** One frame of a container, found in it. */
export interface FoundFrame extends FrameRecords {
  /** Offset of the frame's first octet. */
  readonly offset: number;
  /** Octets of the frame, tags and lengths included. */
  readonly length: number;
}

/** The shortest of 1, 2, 4, 8 length octets, behind the tag that says how many. */
function tagged(base: number, length: number): Uint8Array {
  const width = length < 0x100 ? 0 : length < 0x10000 ? 1 : length < 0x1_0000_0000 ? 2 : 3;
  const octets = new Uint8Array(1 + 2 ** width);
  octets[0] = base + width;
  let rest = length;
  for (let at = octets.length - 1; at > 0; at -= 1) {
    octets[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return octets;
}

/** One record. */
export function encodeRecord(data: Uint8Array): Uint8Array {
  return concat(tagged(recordBase, data.length), data);
}

/**
 * One frame of the records that are there, ready to be put at the end of a container.
 *
 * @throws DareError `limit` beyond the frame bound.
 */
export function encodeFrame(records: FrameRecords): Uint8Array {
  const { header, payload, trailer } = records;
  const parts = [header, ...(payload === undefined ? [] : [payload]), ...(trailer === undefined ? [] : [trailer])];
  const data = concat(...parts.map(encodeRecord));
  if (data.length > containerFrameBytesMax)
    throw new DareError('limit', `a frame of ${data.length} octets is beyond the bound of ${containerFrameBytesMax}`);
  const head = tagged(frameBase, data.length);
  return concat(head, data, head.toReversed());
}

interface Extent {
  /** Octets of the data between the two tags. */
  readonly dataSize: number;
  /** Octets of tag and length. */
  readonly headSize: number;
}

/** Number of length octets behind a tag, or undefined if it is not one of `base`. */
function widthOf(tag: number | undefined, base: number): number | undefined {
  return tag !== undefined && tag >= base && tag <= base + 3 ? 2 ** (tag - base) : undefined;
}

function bigEndian(octets: Uint8Array): number {
  return octets.reduce((value, octet) => value * 256 + octet, 0);
}

/** Tag and length at an offset; undefined if the source ends within them; throws if there is no tag of a frame. */
function extentAt(source: OctetSource, offset: number): Extent | undefined {
  const width = widthOf(source.read(offset, 1)[0], frameBase);
  if (width === undefined) throw new DareError('container', `no frame begins at octet ${offset}`);
  if (offset + 1 + width > source.size) return undefined;
  const dataSize = bigEndian(source.read(offset + 1, width));
  if (dataSize > containerFrameBytesMax)
    throw new DareError('limit', `the frame at octet ${offset} is beyond the bound`);
  return { dataSize, headSize: 1 + width };
}

function frameOf(source: OctetSource, offset: number, extent: Extent): FoundFrame {
  const { dataSize, headSize } = extent;
  const records = readRecords(source.read(offset + headSize, dataSize), offset);
  return { ...records, offset, length: dataSize + 2 * headSize };
}

/** Whether tag and length stand reversed behind the data. */
function endsWell(source: OctetSource, offset: number, extent: Extent): boolean {
  const head = source.read(offset, extent.headSize);
  const tail = source.read(offset + extent.headSize + extent.dataSize, extent.headSize);
  return Buffer.compare(head.toReversed(), tail) === 0;
}

function readRecords(data: Uint8Array, offset: number): FrameRecords {
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < data.length) {
    const width = widthOf(data[at], recordBase);
    const start = at + 1 + (width ?? 0);
    if (width === undefined || start > data.length || records.length === 3) {
      throw new DareError('container', `the frame at octet ${offset} holds no sequence of up to three records`);
    }
    const size = bigEndian(data.subarray(at + 1, start));
    if (size > data.length - start)
      throw new DareError('container', `a record runs out of the frame at octet ${offset}`);
    records.push(data.subarray(start, start + size));
    at = start + size;
  }
  const [header, payload, trailer] = records;
  if (header === undefined) throw new DareError('container', `the frame at octet ${offset} has no header`);
  return { header, payload, trailer };
}

/**
 * The frame that begins at an offset before the end.
 *
 * @returns undefined if the frame is torn: the source ends before it does, or its end does not repeat its beginning and
 * nothing sound follows.
 * @throws DareError `container` for damage that no torn write explains, `limit` for a frame beyond the bound.
 */
export function frameAt(source: OctetSource, offset: number): FoundFrame | undefined {
  let extent: Extent | undefined;
  try {
    extent = extentAt(source, offset);
  } catch (cause) {
    return tornOr(source, offset, cause);
  }
  if (extent === undefined || offset + 2 * extent.headSize + extent.dataSize > source.size) return undefined;
  if (endsWell(source, offset, extent)) return frameOf(source, offset, extent);
  return tornOr(source, offset, new DareError('container', `the frame at octet ${offset} has two lengths`));
}

/**
 * A write that was cut short may leave zeros or old octets of the disk behind. But if a sound frame ends where the source
 * ends, more was written after the damage, and cutting there would lose it.
 */
function tornOr(source: OctetSource, offset: number, cause: unknown): undefined {
  let last: FoundFrame | undefined;
  try {
    last = frameBefore(source, source.size);
  } catch {
    return undefined;
  }
  if (last !== undefined && last.offset > offset) throw cause;
  return undefined;
}

/**
 * The frame that ends at an offset: reading backwards.
 *
 * @param end offset behind the frame's last octet.
 * @returns undefined at the beginning of the container.
 * @throws DareError `container` if no sound frame ends there, `limit` for one beyond the bound.
 */
export function frameBefore(source: OctetSource, end: number): FoundFrame | undefined {
  if (end === 0) return undefined;
  const width = widthOf(source.read(end - 1, 1)[0], frameBase);
  if (width === undefined || end < 2 * (1 + width)) throw new DareError('container', `no frame ends at octet ${end}`);
  const dataSize = bigEndian(source.read(end - 1 - width, width).toReversed());
  const extent: Extent = { dataSize, headSize: 1 + width };
  const offset = end - 2 * extent.headSize - dataSize;
  if (dataSize > containerFrameBytesMax)
    throw new DareError('limit', `the frame before octet ${end} is beyond the bound`);
  if (offset < 0 || !endsWell(source, offset, extent))
    throw new DareError('container', `no frame ends at octet ${end}`);
  return frameOf(source, offset, extent);
}

/** Frames in order; ends at the end or before a torn frame. Throws as {@link frameAt}. */
export function* framesForward(source: OctetSource, from = 0): Generator<FoundFrame, void> {
  for (let offset = from; offset < source.size; ) {
    const frame = frameAt(source, offset);
    if (frame === undefined) return;
    yield frame;
    offset += frame.length;
  }
}

/** Frames from the last to the first. Throws as {@link frameBefore}; a torn tail must have been cut off. */
export function* framesBackward(source: OctetSource, end = source.size): Generator<FoundFrame, void> {
  for (let frame = frameBefore(source, end); frame !== undefined; frame = frameBefore(source, frame.offset))
    yield frame;
}
