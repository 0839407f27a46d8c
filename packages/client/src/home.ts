import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lock } from 'proper-lockfile';
import { ClientError } from './errors.js';

/** Secrets and replicas are for the owner's eyes alone. */
const fileMode = 0o600;
const folderMode = 0o700;
/** A lock whose holder has not renewed it for this long belongs to a process that died. */
const lockStaleMs = 15_000;
/** Another command of the same user usually ends within seconds; longer than that, say so instead of hanging. */
const lockAttempts = 20;

/**
 * The folder of a device's state. Every file is replaced as a whole (written aside, flushed, renamed), so that a crash
 * leaves the old or the new one; `update` additionally flushes the folder, so that a power cut does too.
 */
export class Home {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Path of a file inside the home. */
  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /**
   * Runs `work` while no other process uses this home.
   * @throws ClientError `busy`
   */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    await mkdir(this.folder, { recursive: true, mode: folderMode }).catch((error) => {
      throw this.#explained(error);
    });
    const release = await this.#lock();
    try {
      return await work();
    } finally {
      await release().catch(() => undefined);
    }
  }

  async #lock(): Promise<() => Promise<void>> {
    try {
      return await lock(this.folder, {
        lockfilePath: this.path('.lock'),
        stale: lockStaleMs,
        retries: { retries: lockAttempts, minTimeout: 100, maxTimeout: 1000 },
      });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ELOCKED') throw cause;
      throw new ClientError('busy', `another command is using ${this.folder}; wait until it ends and try again`, {
        cause,
      });
    }
  }

  /** The file's octets, or undefined if it does not exist. */
  async read(...names: string[]): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.path(...names));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#explained(error);
    }
  }

  /** The error in words, where the home itself is what is wrong. */
  #explained(cause: unknown): unknown {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOTDIR' && code !== 'EEXIST') return cause;
    return new ClientError('state', `${this.folder} is no folder; use another --home`, { cause });
  }

  /** The file's JSON, or undefined if it does not exist. @throws ClientError `state` if it is damaged */
  async readJson<T>(...names: string[]): Promise<T | undefined> {
    const octets = await this.read(...names);
    if (octets === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(octets).toString('utf8')) as T;
    } catch (cause) {
      throw new ClientError('state', `${this.path(...names)} is damaged; restore it from a backup`, { cause });
    }
  }

  /** Whether the file exists. */
  async has(...names: string[]): Promise<boolean> {
    return stat(this.path(...names)).then(
      () => true,
      () => false,
    );
  }

  /** Replaces a file atomically and durably. */
  async write(octets: Uint8Array | string, ...names: string[]): Promise<void> {
    const path = this.path(...names);
    await mkdir(dirname(path), { recursive: true, mode: folderMode });
    const aside = `${path}.${process.pid}.new`;
    const file = await open(aside, 'w', fileMode);
    try {
      await file.writeFile(octets);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    await syncFolder(dirname(path));
  }

  /** Adds octets to the end of a file, durably. */
  async append(octets: Uint8Array, ...names: string[]): Promise<void> {
    const path = this.path(...names);
    await mkdir(dirname(path), { recursive: true, mode: folderMode });
    const file = await open(path, 'a', fileMode);
    try {
      await file.writeFile(octets);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Replaces a JSON file atomically and durably. */
  async writeJson(value: unknown, ...names: string[]): Promise<void> {
    await this.write(`${JSON.stringify(value, undefined, 2)}\n`, ...names);
  }

  /** Removes a file or a folder with all in it; nothing happens if it does not exist. */
  async remove(...names: string[]): Promise<void> {
    await rm(this.path(...names), { recursive: true, force: true });
  }

  /** Names in a folder of the home; empty if it does not exist. */
  async list(...names: string[]): Promise<string[]> {
    return readdir(this.path(...names)).catch(() => []);
  }
}

/** A rename is durable only once the folder that holds the name is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
