/**
 * The keys that seal tickets and page keys (S31): files in a folder that all routers of a provider share.
 *
 * Each key seals for 24 hours and opens until its last ticket has ended; then it is destroyed. The next key is made a day
 * before it is needed: by the time one router seals with it, every other one has read it.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { decodeBase64Url, encodeBase64Url } from '@meshd/encoding/base64url';
import { sealKeyMs, ticketMsMax } from '@meshd/limits/limits';
import { BindingError } from './errors.js';
import { followFolder } from './folder-watch.js';
import { type SealKey, sealKeyBytes, sealKeyIdBytes } from './seal.js';

/** A key and its term. */
export interface TicketKey extends SealKey {
  /** Seals from then on, milliseconds since 1970. */
  readonly notBeforeMs: number;
  /** Opens nothing from then on; it stops sealing one ticket life before. */
  readonly notAfterMs: number;
}

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

/** The keys of one moment. */
export class TicketKeyRing {
  readonly #keys: readonly TicketKey[];
  readonly #byId: ReadonlyMap<string, TicketKey>;

  constructor(keys: readonly TicketKey[]) {
    this.#keys = keys.toSorted((a, b) => b.notBeforeMs - a.notBeforeMs);
    this.#byId = new Map(keys.map((key) => [hex(key.keyId), key]));
  }

  /** All keys, the one that begins last first. */
  get keys(): readonly TicketKey[] {
    return this.#keys;
  }

  /** The key to seal with; undefined when none is in force. What it seals must end before it does. */
  sealing(nowMs: number): TicketKey | undefined {
    return this.#keys.find(({ notBeforeMs, notAfterMs }) => notBeforeMs <= nowMs && nowMs + ticketMsMax <= notAfterMs);
  }

  /** Finds the key that sealed a box; one past its end is as good as destroyed. */
  opening(keyId: Uint8Array, nowMs: number): TicketKey | undefined {
    const key = this.#byId.get(hex(keyId));
    return key !== undefined && nowMs < key.notAfterMs ? key : undefined;
  }
}

/** Name of the file of a key. */
const nameOf = (key: TicketKey): string => `${hex(key.keyId)}.json`;
const fileName = /^[0-9a-f]{16}\.json$/;
const privateMode = 0o600;

/**
 * Reads all keys of a folder. Other files are left alone; an absent folder has no keys.
 *
 * @throws BindingError `host-files` for a file that is named like a key and is none
 */
export async function loadTicketKeys(directory: string): Promise<TicketKeyRing> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const keys: TicketKey[] = [];
  for (const name of names.filter((each) => fileName.test(each))) {
    const octets = await readIfThere(join(directory, name));
    if (octets !== undefined) keys.push(keyOfFile(name, octets));
  }
  return new TicketKeyRing(keys);
}

/** What {@link rotateTicketKeys} did. */
export interface TicketKeyRotation {
  /** Names of keys, as hexadecimal text. */
  readonly made: readonly string[];
  readonly removed: readonly string[];
  /** The key that seals now. */
  readonly current: string;
}

/**
 * Makes the keys that are missing for now and for the day that follows, and removes those that open nothing any more.
 * To be run once a day at least; one run that is left out does no harm.
 */
export async function rotateTicketKeys(
  directory: string,
  nowMs: number,
  random: Random = systemRandom,
): Promise<TicketKeyRotation> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { keys } = await loadTicketKeys(directory);
  const past = keys.filter(({ notAfterMs }) => notAfterMs <= nowMs);
  for (const key of past) await rm(join(directory, nameOf(key)), { force: true });
  const kept = keys.filter((key) => !past.includes(key));
  const made: TicketKey[] = [];
  // Judged by when sealing ends, not by the age of a file: daily runs are never exactly a day apart.
  let coveredUntilMs = Math.max(nowMs, ...kept.map((key) => key.notAfterMs - ticketMsMax));
  if (new TicketKeyRing(kept).sealing(nowMs) === undefined) coveredUntilMs = nowMs;
  while (coveredUntilMs < nowMs + sealKeyMs + lateRunMs) {
    const key = makeKey(coveredUntilMs, random);
    await writeKey(directory, key);
    made.push(key);
    coveredUntilMs += sealKeyMs;
  }
  const current = new TicketKeyRing([...kept, ...made]).sealing(nowMs);
  if (current === undefined) throw broken(directory, 'no key is in force');
  return {
    made: made.map(({ keyId }) => hex(keyId)),
    removed: past.map(({ keyId }) => hex(keyId)),
    current: hex(current.keyId),
  };
}

/** How late a daily run may be without a moment that has no key. */
const lateRunMs = 2 * ticketMsMax;

function makeKey(notBeforeMs: number, random: Random): TicketKey {
  return {
    keyId: random(sealKeyIdBytes),
    key: random(sealKeyBytes),
    notBeforeMs,
    notAfterMs: notBeforeMs + sealKeyMs + ticketMsMax,
  };
}

function keyOfFile(name: string, octets: Buffer): TicketKey {
  try {
    const file = JSON.parse(octets.toString('utf8')) as Record<string, unknown>;
    const key = {
      keyId: Buffer.from(String(file.keyId), 'hex'),
      key: decodeBase64Url(String(file.key)),
      notBeforeMs: Date.parse(String(file.notBefore)),
      notAfterMs: Date.parse(String(file.notAfter)),
    };
    if (nameOf(key) !== name) throw new Error('its name is that of another key');
    if (key.key.length !== sealKeyBytes) throw new Error(`a key has ${sealKeyBytes} octets`);
    if (!(key.notBeforeMs < key.notAfterMs)) throw new Error('it has no term');
    return key;
  } catch (error) {
    throw broken(name, (error as Error).message, error);
  }
}

async function writeKey(directory: string, key: TicketKey): Promise<void> {
  const text = JSON.stringify({
    keyId: hex(key.keyId),
    key: encodeBase64Url(key.key),
    notBefore: new Date(key.notBeforeMs).toISOString(),
    notAfter: new Date(key.notAfterMs).toISOString(),
  });
  // Written beside and renamed: routers that look meanwhile see a whole key or none.
  const path = join(directory, nameOf(key));
  const file = await open(`${path}.new`, 'w', privateMode);
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    // Removed by a rotation since the folder was listed.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function broken(what: string, why: string, cause?: unknown): BindingError {
  return new BindingError('host-files', `ticket keys in ${what}: ${why}`, { cause });
}

/** Keys that follow their folder. */
export interface TicketKeyWatch {
  current(): TicketKeyRing;
  stop(): void;
}

/** What {@link watchTicketKeys} tells. */
export interface TicketKeyWatchOptions {
  /** After every change that loaded. */
  readonly onChange?: (ring: TicketKeyRing) => void;
  /** When the folder cannot be read; the keys before stay in use. */
  readonly onError?: (error: unknown) => void;
  readonly pollMs?: number;
}

/**
 * Loads the keys and follows the folder.
 *
 * @throws what the first load throws; later failures go to `onError`
 */
export async function watchTicketKeys(directory: string, options: TicketKeyWatchOptions = {}): Promise<TicketKeyWatch> {
  let ring = await loadTicketKeys(directory);
  const names = (of: TicketKeyRing) => of.keys.map(({ keyId }) => hex(keyId)).join();
  const reload = async () => {
    try {
      const fresh = await loadTicketKeys(directory);
      if (names(fresh) === names(ring)) return;
      ring = fresh;
      options.onChange?.(fresh);
    } catch (error) {
      options.onError?.(error);
    }
  };
  const stop = followFolder(directory, reload, options.pollMs);
  return { current: () => ring, stop };
}
