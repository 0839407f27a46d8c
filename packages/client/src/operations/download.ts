import { openEnvelope } from '@meshd/dare/envelope';
import type { DecryptionKey } from '@meshd/dare/recipients';
import { pageBytes } from '@meshd/limits/client';
import { downloadEntriesMax } from '@meshd/limits/limits';
import { isContainerName } from '@meshd/schema/container-name';
import { uniqueIdFor } from '../blind.js';
import type { Device } from '../device.js';
import { readBody } from '../entry-body.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { plainOf, readingKey } from '../reading-key.js';
import type { Replica } from '../replica.js';
import { requireSuccess, type Session } from '../session.js';
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
  /** Its body is at the service and was not fetched. */
  readonly isRedacted: boolean;
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
  /** `false`: bodies that were left out stay out; they are fetched otherwise. */
  readonly complete?: boolean | undefined;
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
  const isRedacted = envelope.payload === null;
  const plain = decrypted(container, frameIndex, () => plainOf(envelope, key));
  if (plain === undefined)
    return { frameIndex, uniqueId, event, name: undefined, content: undefined, isRedacted, current };
  const { name, content, plainKey } = readBody(plain);
  if (!isSpool) requireKey(session, container, frameIndex, uniqueId, plainKey);
  return { frameIndex, uniqueId, event, name, content, isRedacted, current };
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

/** Fetches the bodies that an earlier synchronisation left out, each run of frames in as few requests as it takes. */
export async function completeFrames(device: Device, replica: Replica, first: number, last: number): Promise<void> {
  const { container } = replica.reader;
  for (let at = first; at <= last; ) {
    if (!(await replica.lacksBody(at))) {
      at += 1;
      continue;
    }
    let end = at;
    while (end < last && (await replica.lacksBody(end + 1))) end += 1;
    at = await completeRun(device, replica, at, end);
    device.session.environment.progress(`${container}: bodies`, at - first, last - first + 1);
  }
}

/** @returns the frame after the last one that was completed */
async function completeRun(device: Device, replica: Replica, from: number, to: number): Promise<number> {
  const { container } = replica.reader;
  const response = await device.session.call('Download', {
    Select: [{ Container: container, IndexMin: from, IndexMax: to }],
    ConstraintsPost: { MaxEntries: downloadEntriesMax, BytesMax: pageBytes },
  });
  requireSuccess(`Download of ${container}`, response);
  const envelopes = response.message.Updates?.[0]?.Envelopes ?? [];
  if (envelopes.length === 0 || envelopes.length > to - from + 1) {
    throw new ClientError('unavailable', `the service gives no frame ${from} of ${container}; try again later`);
  }
  for (const [at, octets] of envelopes.entries()) {
    // The service may have removed a body of a message that was marked deleted; then it stays out here, too.
    if (openEnvelope(octets).payload !== null) await replica.complete(from + at, octets);
  }
  return from + envelopes.length;
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
  if (range.complete !== false) await completeFrames(device, replica, first, last);
  const entries: DownloadedEntry[] = [];
  for (let frameIndex = first; frameIndex <= last; frameIndex += 1) {
    entries.push(await readEntry(session, replica, frameIndex, key));
    await showProgress(session.environment, 'decrypting', entries.length, last - first + 1);
  }
  return { container, frameCount: size, digest: apex, root, isLegacy, entries };
}
