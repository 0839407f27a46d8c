import { readSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterFrame, appendEnvelope, emptyFile, envelopeOfFrame, type FileState } from '@meshd/dare/container-file';
import { frameAt, framesForward, type OctetSource } from '@meshd/dare/container-frame';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { encodeEdge } from '@meshd/dare/log-tree';
import { ClientError } from './errors.js';
import type { Home } from './home.js';
import { ContainerReader, type TrustedHead } from './reader.js';

const folder = 'containers';
const frameSuffix = '.dare';
const headSuffix = '.head.json';
const fileMode = 0o600;

interface StoredHead {
  version: 1;
  container: string;
  /** Octets in base64url. */
  log: string;
  size: number;
  root: string;
  /** Right edge of the RFC 6962 tree, as the head's proof of consistency. */
  edge: string;
}

const text = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');
const octetsOf = (encoded: string) => new Uint8Array(Buffer.from(encoded, 'base64url'));

/** Octets fetched from the file at a time while frames are read in order. */
const windowBytes = 1024 * 1024;

/** The first `size` octets of an open file, read in windows. */
function fileSource(descriptor: number, size: number): OctetSource {
  let windowAt = 0;
  let window = new Uint8Array(0);
  const fill = (at: number, length: number) => {
    const octets = new Uint8Array(Math.min(Math.max(length, windowBytes), size - at));
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

/**
 * The local copy of one container: a DARE container file, and beside it the head that was last verified. The head is
 * written after the frames are safely on disk, and before any of them is shown: a crash between the two leaves frames
 * that no head vouches for, which are cut off and fetched again.
 */
export class Replica {
  readonly reader: ContainerReader;
  readonly #home: Home;
  readonly #file: FileHandle;
  #state: FileState;
  readonly #offsets: number[];
  #trusted: TrustedHead | undefined;

  private constructor(
    home: Home,
    file: FileHandle,
    reader: ContainerReader,
    state: FileState,
    offsets: number[],
    trusted: TrustedHead | undefined,
  ) {
    this.#home = home;
    this.#file = file;
    this.reader = reader;
    this.#state = state;
    this.#offsets = offsets;
    this.#trusted = trusted;
  }

  /** The newest head that this device has verified; the service must not go behind it (S47). */
  get trusted(): TrustedHead | undefined {
    return this.#trusted;
  }

  /** Names of the containers that this home has a verified head of. */
  static async namesIn(home: Home): Promise<string[]> {
    const names = await home.list(folder);
    return names.filter((name) => name.endsWith(headSuffix)).map((name) => name.slice(0, -headSuffix.length));
  }

  /**
   * Opens a replica: leaves out what no head vouches for and rebuilds both trees from the frames. A file that does not
   * lead to the stored head is emptied, to be fetched again under that head.
   */
  static async open(home: Home, container: string, accountUdf: string, allowLegacy = false): Promise<Replica> {
    const trusted = await loadHead(home, container);
    const path = home.path(folder, `${container}${frameSuffix}`);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a+', fileMode).then(async (created) => {
      await created.close();
      return open(path, 'r+');
    });
    const readerFor = () => new ContainerReader({ container, accountUdf, trusted, allowLegacy });
    const { size } = await file.stat();
    const reader = readerFor();
    const offsets: number[] = [];
    try {
      const state = restoreFrames(fileSource(file.fd, size), reader, offsets, trusted?.size ?? 0);
      return new Replica(home, file, reader, state, offsets, trusted);
    } catch {
      return new Replica(home, file, readerFor(), emptyFile('Merkle'), [], trusted);
    }
  }

  /** A stored frame. @throws ClientError `state` if there is none */
  async envelope(frameIndex: number): Promise<EnvelopeOctets> {
    const offset = this.#offsets[frameIndex];
    const frame = offset === undefined ? undefined : frameAt(fileSource(this.#file.fd, this.#state.size), offset);
    if (frame === undefined) {
      throw new ClientError('state', `the replica of ${this.reader.container} has no frame ${frameIndex}`);
    }
    return envelopeOfFrame(frame);
  }

  /** Puts frames that the reader has accepted on disk, and then the head over them. */
  async store(envelopes: readonly EnvelopeOctets[]): Promise<void> {
    if (envelopes.length === 0) return;
    const parts: Uint8Array[] = [];
    const start = this.#state.size;
    for (const octets of envelopes) {
      const appended = appendEnvelope(this.#state, octets);
      this.#offsets.push(this.#state.size);
      this.#state = appended.state;
      parts.push(appended.octets);
    }
    await this.#file.truncate(start);
    await this.#file.write(Buffer.concat(parts), 0, undefined, start);
    await this.#file.sync();
    await this.#storeHead();
  }

  async #storeHead(): Promise<void> {
    const { container, head, trees } = this.reader;
    // While frames below a trusted head are fetched again, that head stays.
    if (head === undefined || head.size < (this.#trusted?.size ?? 0)) return;
    const stored: StoredHead = {
      version: 1,
      container,
      log: text(head.log),
      size: head.size,
      root: text(head.root),
      edge: text(encodeEdge(trees.log)),
    };
    await this.#home.writeJson(stored, folder, `${container}${headSuffix}`);
    this.#trusted = head;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function loadHead(home: Home, container: string): Promise<TrustedHead | undefined> {
  const stored = await home.readJson<StoredHead>(folder, `${container}${headSuffix}`);
  if (stored === undefined) return undefined;
  if (stored.version !== 1 || stored.container !== container) {
    throw new ClientError('state', `the head of ${container} in this home is damaged; restore it from a backup`);
  }
  return { log: octetsOf(stored.log), size: stored.size, root: octetsOf(stored.root) };
}

/** Gives the reader the frames that the head vouches for, and no others. */
function restoreFrames(source: OctetSource, reader: ContainerReader, offsets: number[], count: number): FileState {
  let state = emptyFile('Merkle');
  if (count === 0) return state;
  for (const frame of framesForward(source)) {
    const octets = envelopeOfFrame(frame);
    const payloadDigest = reader.restore(octets);
    offsets.push(frame.offset);
    state = afterFrame(state, frame.length, payloadDigest);
    if (state.frameCount === count) return state;
  }
  // The head is written once the frames are safe on disk, so this is damage and no crash. What is left may end within a
  // batch, where nothing could be appended: everything is fetched anew.
  throw new ClientError('state', 'a replica file is shorter than its head');
}
