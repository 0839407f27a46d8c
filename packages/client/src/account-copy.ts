import { mkdir, open, rename, stat } from 'node:fs/promises';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import { parseUdf, udfType } from '@meshd/crypto/udf';
import { appendEnvelope, emptyFile, envelopeOfFrame } from '@meshd/dare/container-file';
import { framesForward } from '@meshd/dare/container-frame';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { root } from '@meshd/dare/log-tree';
import { apex } from '@meshd/dare/merkle';
import { ClientError } from './errors.js';
import { appendFrame, noTrees, type Trees } from './frame.js';
import { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';
import type { Replica } from './replica.js';
import { fileSource } from './replica-file.js';

/*
 * An account as a folder of files: one DARE container file for each container, with every frame as the device holds it; the keys
 * that the frames are encrypted to, sealed under a key that is shown to the user alone; and a list with the digests of all.
 *
 * The list says what should be there, to everybody. That it is what the device had verified, the sealed keys say: `Stores` in
 * them names size and root of each container, and nobody seals them who does not have the export key.
 */

const listFile = 'account.json';
const keysFile = 'keys.dare';
const suffix = '.dare';
const exportKeyBytes = 32;
const seedBytes = 57;
const salt = Buffer.from('mesh-export-1', 'ascii');
/** Octets gathered before they are written. */
const writeBytes = 1024 * 1024;

/** A container in the list. */
export interface CopiedContainer {
  readonly container: string;
  readonly frameCount: number;
  /** DARE digest over all frames, as a service states it. */
  readonly digest: Uint8Array;
  /** RFC 6962 root. */
  readonly root: Uint8Array;
}

/** What the list says. */
export interface CopyList {
  readonly address: string;
  readonly accountUdf: string;
  readonly meshUdf: string;
  readonly exportedMs: number;
  readonly containers: readonly CopiedContainer[];
}

interface StoredList {
  version: 1;
  address: string;
  account: string;
  mesh: string;
  exported: string;
  containers: { container: string; frames: number; digest: string; root: string }[];
}

/** The two keys that follow from an export key: one to open what is sealed, one that has signed it. */
export interface ExportKeys {
  readonly reader: Uint8Array;
  readonly signer: SigningKey;
}

/** @throws ClientError `usage` for what is no export key */
export function exportKeysOf(text: string): ExportKeys {
  const { typeId, data } = parseUdf(text);
  if (typeId !== udfType.encryptionKey || data.length !== exportKeyBytes) {
    throw new ClientError(
      'usage',
      'an export key begins with E and has 53 characters, as mesh account export has shown it',
    );
  }
  const prk = hkdfExtract('sha512', salt, data);
  const seed = (name: string) => hkdfExpand('sha512', prk, name, seedBytes);
  return { reader: seed('reader'), signer: signingKeyFromSeed(seed('signer')) };
}

/** A folder with a copy of an account, or where one is to be. */
export class AccountCopy {
  readonly #folder: Home;

  constructor(folder: string) {
    this.#folder = new Home(folder);
  }

  /** The list, the last file to be written; undefined before. @throws ClientError `state` for one that cannot be read */
  async list(): Promise<CopyList | undefined> {
    const stored = await this.#folder.readJson<StoredList>(listFile);
    if (stored === undefined) return undefined;
    if (stored.version !== 1 || !Array.isArray(stored.containers)) {
      throw new ClientError('state', `${this.#folder.path(listFile)} is no list of an account; export it anew`);
    }
    return {
      ...{ address: stored.address, accountUdf: stored.account, meshUdf: stored.mesh },
      exportedMs: Date.parse(stored.exported),
      containers: stored.containers.map(({ container, frames, digest, root: at }) => ({
        ...{ container, frameCount: frames, digest: textToOctets(digest), root: textToOctets(at) },
      })),
    };
  }

  async writeList({ address, accountUdf, meshUdf, exportedMs, containers }: CopyList): Promise<void> {
    const stored: StoredList = {
      ...{ version: 1, address, account: accountUdf, mesh: meshUdf, exported: new Date(exportedMs).toISOString() },
      containers: containers.map(({ container, frameCount, digest, root: at }) => ({
        ...{ container, frames: frameCount, digest: octetsToText(digest), root: octetsToText(at) },
      })),
    };
    await this.#folder.writeJson(stored, listFile);
  }

  /** The sealed keys; undefined where there are none. */
  keys(): Promise<Uint8Array | undefined> {
    return this.#folder.read(keysFile);
  }

  async writeKeys(octets: Uint8Array): Promise<void> {
    await this.#folder.write(octets, keysFile);
  }

  /**
   * Writes a container as a whole: aside first, so that a file with this name is always complete. One that is the same already
   * stays as it is.
   *
   * @param replica with the bodies that the service still has
   * @returns whether it was written
   * @throws ClientError `state` where what was written is not what was verified
   */
  async writeContainer(replica: Replica): Promise<boolean> {
    const { container, size } = replica.reader;
    const path = this.#path(container);
    if (await this.#isSame(replica, path)) return false;
    const aside = `${path}.new`;
    await mkdir(this.#folder.folder, { recursive: true, mode: 0o700 });
    const file = await open(aside, 'w', 0o600);
    try {
      let state = emptyFile('Merkle');
      let parts: Uint8Array[] = [];
      let pendingBytes = 0;
      for (let frameIndex = 0; frameIndex < size; frameIndex += 1) {
        const { octets, state: after } = appendEnvelope(state, await replica.envelope(frameIndex));
        state = after;
        parts.push(octets);
        pendingBytes += octets.length;
        if (pendingBytes < writeBytes && frameIndex < size - 1) continue;
        await file.writeFile(Buffer.concat(parts));
        [parts, pendingBytes] = [[], 0];
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (!(await this.#isSame(replica, aside))) {
      throw new ClientError('state', `${aside} is not what was to be written; is the disk in order?`);
    }
    await rename(aside, path);
    return true;
  }

  #path(container: string): string {
    return this.#folder.path(`${container}${suffix}`);
  }

  /** Whether the file has the frames of the replica, with as many bodies. */
  async #isSame(replica: Replica, path: string): Promise<boolean> {
    const { root: at, size } = replica.reader;
    let redactedCount = 0;
    const count = ({ payload }: EnvelopeOctets) => {
      if (payload === null) redactedCount += 1;
    };
    const trees = await treesOfFile(path, count).catch(() => undefined);
    if (trees === undefined || !constantTimeEqual(root(trees.log), at)) return false;
    for (let frameIndex = 0; frameIndex < size; frameIndex += 1) {
      if (await replica.lacksBody(frameIndex)) redactedCount -= 1;
    }
    return redactedCount === 0;
  }

  /**
   * Reads a container: its frames lead to the digest and root of the list.
   *
   * @param each given the frames in order, before it is certain that they do
   * @throws ClientError `frame` where they do not, or the file is missing
   */
  async check(
    { container, frameCount, digest, root: at }: CopiedContainer,
    each?: (octets: EnvelopeOctets) => void,
  ): Promise<void> {
    try {
      const trees = await treesOfFile(this.#path(container), each);
      const found = apex(trees.tree);
      const isRight =
        trees.log.frameCount === frameCount &&
        found !== undefined &&
        constantTimeEqual(found, digest) &&
        constantTimeEqual(root(trees.log), at);
      if (isRight) return;
    } catch (cause) {
      throw new ClientError('frame', `${container} in this copy cannot be read: ${(cause as Error).message}`, {
        cause,
      });
    }
    throw new ClientError('frame', `${container} in this copy is not as the list says: it was changed, or is damaged`);
  }
}

async function treesOfFile(path: string, each?: (octets: EnvelopeOctets) => void): Promise<Trees> {
  const { size } = await stat(path);
  const file = await open(path, 'r');
  try {
    let trees = noTrees;
    for (const found of framesForward(fileSource(file.fd, size))) {
      const octets = envelopeOfFrame(found);
      trees = appendFrame(trees, octets).trees;
      each?.(octets);
    }
    return trees;
  } finally {
    await file.close();
  }
}
