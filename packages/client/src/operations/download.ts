import { decryptEnvelope, isEncrypted } from '@meshd/dare/decrypt';
import { type DareEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { type DecryptionKey, decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { isContainerName } from '@meshd/schema/container-name';
import { uniqueIdFor } from '../blind.js';
import type { Device } from '../device.js';
import { readBody } from '../entry-body.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import type { Replica } from '../replica.js';
import type { Session } from '../session.js';
import { readableReplica, syncAccount } from './sync.js';

/** An entry of a container, decrypted. */
export interface DownloadedEntry {
  readonly frameIndex: number;
  readonly uniqueId: string | undefined;
  readonly event: string | undefined;
  /** Name of the file, or the kind of another entry; undefined without a body. */
  readonly name: string | undefined;
  /** Undefined for a deletion, and where the body was removed from the service. */
  readonly content: Uint8Array | undefined;
  /** It is the newest of its key. */
  readonly current: boolean;
}

/** A container, verified and up to date, with the entries that were asked for. */
export interface DownloadResult {
  readonly container: string;
  readonly frameCount: number;
  readonly digest: Uint8Array | undefined;
  readonly root: Uint8Array;
  readonly isLegacy: boolean;
  readonly entries: readonly DownloadedEntry[];
}

/** Frames to decrypt; both bounds are inclusive frame indexes. */
export interface DownloadRange {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** The key that catalogs are encrypted to. Found once: making it costs a point multiplication. */
function readingKey(session: Session): DecryptionKey {
  return decryptionKeyFromSeed('Ed448', session.keys.seed('accountEncryption'));
}

function plainOf(envelope: DareEnvelope, key: DecryptionKey): Uint8Array | undefined {
  if (envelope.payload === null || envelope.payload.length === 0) return undefined;
  // The reader has accepted the frame under a manifest (S43), which is the proof that S61 asks for.
  return isEncrypted(envelope) ? decryptEnvelope(envelope, key, 'manifest').plain : envelope.payload;
}

async function readEntry(
  session: Session,
  replica: Replica,
  frameIndex: number,
  key: DecryptionKey,
): Promise<DownloadedEntry> {
  const { container, replay } = replica.reader;
  const envelope = openEnvelope(await replica.envelope(frameIndex));
  const { UniqueID: uniqueId, Event: event } = envelope.contentMetaData ?? {};
  const isSpool = replay?.kind === 'spool';
  const current = isSpool || uniqueId === undefined || replay?.items.get(uniqueId)?.current === frameIndex;
  const plain = decrypted(container, frameIndex, () => plainOf(envelope, key));
  if (plain === undefined) return { frameIndex, uniqueId, event, name: undefined, content: undefined, current };
  const { name, content, plainKey } = readBody(plain);
  if (!isSpool) requireKey(session, container, frameIndex, uniqueId, plainKey);
  return { frameIndex, uniqueId, event, name, content, current };
}

function decrypted<T>(container: string, frameIndex: number, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ClientError('entry', `frame ${frameIndex} of ${container} cannot be decrypted: ${reason}`, { cause });
  }
}

/** The body must be filed under its own key, or one item could be passed off as another (S43). */
function requireKey(
  session: Session,
  container: string,
  frameIndex: number,
  uniqueId: string | undefined,
  plainKey: string | undefined,
): void {
  if (uniqueId === undefined || plainKey === undefined || uniqueId === plainKey) return;
  if (uniqueIdFor(session.keys.keyBlind, container, plainKey) === uniqueId) return;
  throw new ClientError('frame', `frame ${frameIndex} of ${container} is filed under the key of something else`);
}

/**
 * Brings a container up to date and decrypts entries of it. Every frame was verified before any of it is shown.
 * @throws ClientError
 */
export async function downloadContainer(
  device: Device,
  container: string,
  range: DownloadRange = {},
): Promise<DownloadResult> {
  if (!isContainerName(container)) throw new ClientError('usage', `${container} is no container name`);
  const { session } = device;
  await syncAccount(device, [container]);
  const replica = await readableReplica(device, container);
  const { size, apex, root, isLegacy } = replica.reader;
  if (size === 0) throw new ClientError('usage', `the account has no container ${container}; see mesh account status`);
  const key = readingKey(session);
  const first = Math.max(1, range.min ?? 1);
  const last = Math.min(size - 1, range.max ?? size - 1);
  const entries: DownloadedEntry[] = [];
  for (let frameIndex = first; frameIndex <= last; frameIndex += 1) {
    entries.push(await readEntry(session, replica, frameIndex, key));
    await showProgress(session.environment, 'decrypting', entries.length, last - first + 1);
  }
  return { container, frameCount: size, digest: apex, root, isLegacy, entries };
}
