import { readSync } from 'node:fs';
import { afterFrame, emptyFile, envelopeOfFrame, type FileState } from '@meshd/dare/container-file';
import { framesForward, type OctetSource } from '@meshd/dare/container-frame';
import { ClientError } from './errors.js';
import type { ContainerReader } from './reader.js';

/** Octets fetched from the file at a time while frames are read in order. */
const windowBytes = 1024 * 1024;

/**
 * The first `size` octets of an open file, read in windows.
 *
 * @param aheadBytes octets read at a time; as many as a frame has where only that is read
 */
export function fileSource(descriptor: number, size: number, aheadBytes = windowBytes): OctetSource {
  let windowAt = 0;
  let window = new Uint8Array(0);
  const fill = (at: number, length: number) => {
    const octets = new Uint8Array(Math.min(Math.max(length, aheadBytes), size - at));
    let done = 0;
    while (done < octets.length) {
      const count = readSync(descriptor, octets, done, octets.length - done, at + done);
      if (count === 0) throw new ClientError('state', 'a replica file became shorter while it was read');
      done += count;
    }
    windowAt = at;
    window = octets;
  };
  return {
    size,
    read(offset, length) {
      if (offset < windowAt || offset + length > windowAt + window.length) fill(offset, length);
      return window.subarray(offset - windowAt, offset - windowAt + length);
    },
  };
}

/** What a pass over a replica file found. */
export interface RestoredFile {
  readonly state: FileState;
  readonly offsets: number[];
  /** Frames whose body was left out. */
  readonly redacted: Set<number>;
}

/** Nothing read yet. */
export function nothingRestored(): RestoredFile {
  return { state: emptyFile('Merkle'), offsets: [], redacted: new Set() };
}

/** Gives the reader the frames that a head over `count` frames vouches for, and no others. @throws ClientError `state` */
export function restoreFrames(source: OctetSource, reader: ContainerReader, count: number): RestoredFile {
  const { offsets, redacted, state: empty } = nothingRestored();
  let state = empty;
  if (count === 0) return { state, offsets, redacted };
  for (const found of framesForward(source)) {
    const frame = reader.restore(envelopeOfFrame(found));
    if (frame.envelope.payload === null) redacted.add(frame.frameIndex);
    offsets.push(found.offset);
    state = afterFrame(state, found.length, frame.payloadDigest);
    if (state.frameCount === count) return { state, offsets, redacted };
  }
  // The head is written once the frames are safe on disk, so this is damage and no crash. What is left may end within a
  // batch, where nothing could be appended: everything is fetched anew.
  throw new ClientError('state', 'a replica file is shorter than its head');
}
