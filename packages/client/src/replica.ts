import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { appendEnvelope, envelopeOfFrame, type FileState } from '@meshd/dare/container-file';
import { frameAt, framesForward } from '@meshd/dare/container-frame';
import { coreOfFrame, leafOfFrame } from '@meshd/dare/core';
import {
  checkPayloadDigest,
  type DareEnvelope,
  type EnvelopeOctets,
  openEnvelope,
  readEnvelope,
  writeEnvelope,
} from '@meshd/dare/envelope';
import { encodeEdge } from '@meshd/dare/log-tree';
import { ClientError } from './errors.js';
import { appendFrame, noTrees, type Trees } from './frame.js';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';
import { ContainerReader, type TrustedHead } from './reader.js';
import { fileSource, nothingRestored, type RestoredFile, restoreFrames } from './replica-file.js';
import { loadFloors } from './store-floors.js';

const folder = 'containers';
const frameSuffix = '.dare';
const headSuffix = '.head.json';
const bodiesSuffix = '.bodies';
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
  /** DARE digest over the frames, and octets of the file: what a synchronisation needs to know without reading it. */
  digest?: string;
  bytes?: number;
}

/** A container as this home has it on disk, without a look at its frames. */
export interface StoredReplica extends TrustedHead {
  readonly container: string;
  /** DARE digest over the frames; undefined in files of an earlier version. */
  readonly digest: Uint8Array | undefined;
  /** The frame file is as long as it was when the head was written. */
  readonly isWhole: boolean;
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
  /** Frames whose body was left out when they were fetched. */
  readonly #redacted: Set<number>;
  #trusted: TrustedHead | undefined;
  readonly #floor: TrustedHead | undefined;

  private constructor(
    home: Home,
    file: FileHandle,
    reader: ContainerReader,
    { state, offsets, redacted }: RestoredFile,
    { trusted, floor }: { readonly trusted: TrustedHead | undefined; readonly floor: TrustedHead | undefined },
  ) {
    this.#home = home;
    this.#file = file;
    this.reader = reader;
    this.#state = state;
    this.#offsets = offsets;
    this.#redacted = redacted;
    this.#trusted = trusted;
    this.#floor = floor;
  }

  /** The newest head that this device has verified or was told of; the service must not go behind it (S47). */
  get trusted(): TrustedHead | undefined {
    return longer(this.#trusted, this.#floor);
  }

  /** Names of the containers that this home has a verified head of. */
  static async namesIn(home: Home): Promise<string[]> {
    const names = await home.list(folder);
    return names.filter((name) => name.endsWith(headSuffix)).map((name) => name.slice(0, -headSuffix.length));
  }

  /**
   * Every container that this home has a verified head of, from the heads alone, and those that an administrator named: of
   * each what is known to be longest.
   */
  static async storedIn(home: Home): Promise<StoredReplica[]> {
    const names = await Replica.namesIn(home);
    const stored = new Map<string, StoredReplica>();
    for (const name of names) stored.set(name, await storedReplica(home, name));
    for (const [container, floor] of await loadFloors(home)) {
      if ((stored.get(container)?.size ?? 0) >= floor.size) continue;
      stored.set(container, { ...floor, container, digest: undefined, isWhole: false });
    }
    return [...stored.values()];
  }

  /**
   * Opens a replica: leaves out what no head vouches for and rebuilds both trees from the frames. A file that does not
   * lead to the stored head is emptied, to be fetched again under that head.
   */
  static async open(home: Home, container: string, accountUdf: string, allowLegacy = false): Promise<Replica> {
    const trusted = await loadHead(home, container);
    const floor = (await loadFloors(home)).get(container);
    const path = home.path(folder, `${container}${frameSuffix}`);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a+', fileMode).then(async (created) => {
      await created.close();
      return open(path, 'r+');
    });
    const readerFor = () => new ContainerReader({ container, accountUdf, trusted, floor, allowLegacy });
    const { size } = await file.stat();
    const reader = readerFor();
    try {
      const restored = restoreFrames(fileSource(file.fd, size), reader, trusted?.size ?? 0);
      return new Replica(home, file, reader, restored, { trusted, floor });
    } catch {
      return new Replica(home, file, readerFor(), nothingRestored(), { trusted, floor });
    }
  }

  /** Whether the frame's body is missing here; {@link complete} brings it. */
  async lacksBody(frameIndex: number): Promise<boolean> {
    return this.#redacted.has(frameIndex) && !(await this.#home.has(...this.#bodyPath(frameIndex)));
  }

  /** Frames whose body was left out when they were fetched; some may have been completed since. */
  get redactedCount(): number {
    return this.#redacted.size;
  }

  /** A stored frame, with its body if that is here. @throws ClientError `state` if there is none */
  async envelope(frameIndex: number): Promise<EnvelopeOctets> {
    const offset = this.#offsets[frameIndex];
    const { size } = this.#state;
    const end = this.#offsets[frameIndex + 1] ?? size;
    const source = fileSource(this.#file.fd, size, end - (offset ?? end));
    const frame = offset === undefined ? undefined : frameAt(source, offset);
    if (frame === undefined) {
      throw new ClientError('state', `the replica of ${this.reader.container} has no frame ${frameIndex}`);
    }
    const stored = envelopeOfFrame(frame);
    const body = this.#redacted.has(frameIndex) ? await this.#home.read(...this.#bodyPath(frameIndex)) : undefined;
    if (body === undefined) return stored;
    const whole = readEnvelope(body, 'json-b');
    this.#requireSame(frameIndex, stored, whole);
    return whole;
  }

  /**
   * Adds the body to a frame that was fetched without. The frame was authentic before; its leaf, which covers the digest
   * of the body, proves that this is the same one whole.
   * @throws ClientError `frame`
   */
  async complete(frameIndex: number, whole: EnvelopeOctets): Promise<void> {
    this.#requireSame(frameIndex, await this.envelope(frameIndex), whole);
    await this.#home.write(writeEnvelope(whole, 'json-b'), ...this.#bodyPath(frameIndex));
  }

  /** Leaves and root as the file on disk has them now; what memory holds is not looked at. */
  recompute(): { readonly leaves: readonly Uint8Array[]; readonly trees: Trees } {
    const leaves: Uint8Array[] = [];
    let trees = noTrees;
    for (const found of framesForward(fileSource(this.#file.fd, this.#state.size))) {
      const next = appendFrame(trees, envelopeOfFrame(found));
      leaves.push(next.frame.leaf);
      trees = next.trees;
    }
    return { leaves, trees };
  }

  #bodyPath(frameIndex: number): string[] {
    return [folder, `${this.reader.container}${bodiesSuffix}`, `${frameIndex}.dare`];
  }

  #requireSame(frameIndex: number, stored: EnvelopeOctets, whole: EnvelopeOctets): void {
    const leafOf = (octets: EnvelopeOctets, digest: (opened: DareEnvelope) => Uint8Array | undefined) => {
      const opened = openEnvelope(octets);
      const payloadDigest = digest(opened) ?? new Uint8Array(0);
      return leafOfFrame(frameIndex, coreOfFrame(opened, payloadDigest), opened.signatures);
    };
    const expected = leafOf(stored, (opened) => opened.payloadDigest);
    try {
      if (constantTimeEqual(expected, leafOf(whole, checkPayloadDigest))) return;
    } catch (cause) {
      throw this.#otherFrame(frameIndex, cause);
    }
    throw this.#otherFrame(frameIndex);
  }

  #otherFrame(frameIndex: number, cause?: unknown): ClientError {
    const { container } = this.reader;
    return new ClientError('frame', `frame ${frameIndex} of ${container} came with another body than it had`, {
      cause,
    });
  }

  /** Puts frames that the reader has accepted on disk, and then the head over them. */
  async store(envelopes: readonly EnvelopeOctets[]): Promise<void> {
    if (envelopes.length === 0) return;
    const parts: Uint8Array[] = [];
    const start = this.#state.size;
    for (const octets of envelopes) {
      const appended = appendEnvelope(this.#state, octets);
      if (openEnvelope(octets).payload === null) this.#redacted.add(this.#offsets.length);
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
    const { container, head, trees, apex: digest } = this.reader;
    // While frames below a trusted head are fetched, that head stays: nothing vouches for them until it is reached.
    if (head === undefined || head.size < (this.trusted?.size ?? 0)) return;
    const stored: StoredHead = {
      version: 1,
      container,
      log: octetsToText(head.log),
      size: head.size,
      root: octetsToText(head.root),
      edge: octetsToText(encodeEdge(trees.log)),
      ...(digest === undefined ? {} : { digest: octetsToText(digest) }),
      bytes: this.#state.size,
    };
    await this.#home.writeJson(stored, folder, `${container}${headSuffix}`);
    this.#trusted = head;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function longer(a: TrustedHead | undefined, b: TrustedHead | undefined): TrustedHead | undefined {
  return (b?.size ?? 0) > (a?.size ?? 0) ? b : a;
}

async function loadStored(home: Home, container: string): Promise<StoredHead | undefined> {
  const stored = await home.readJson<StoredHead>(folder, `${container}${headSuffix}`);
  if (stored === undefined) return undefined;
  if (stored.version !== 1 || stored.container !== container) {
    throw new ClientError('state', `the head of ${container} in this home is damaged; restore it from a backup`);
  }
  return stored;
}

function headOf({ log, size, root }: StoredHead): TrustedHead {
  return { log: textToOctets(log), size, root: textToOctets(root) };
}

async function loadHead(home: Home, container: string): Promise<TrustedHead | undefined> {
  const stored = await loadStored(home, container);
  return stored && headOf(stored);
}

async function storedReplica(home: Home, container: string): Promise<StoredReplica> {
  const stored = await loadStored(home, container);
  if (stored === undefined) throw new ClientError('state', `the head of ${container} in this home is gone`);
  const path = home.path(folder, `${container}${frameSuffix}`);
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  const digest = stored.digest === undefined ? undefined : textToOctets(stored.digest);
  return { ...headOf(stored), container, digest, isWhole: bytes !== undefined && bytes === stored.bytes };
}
