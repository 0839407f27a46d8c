import { nonceUdf } from '@meshd/crypto/udf';
import { uploadEntriesMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import { containerKind, deviceCatalog, isAccountContainer } from '@meshd/schema/container-name';
import { uniqueIdFor } from '../blind.js';
import type { Conflict, Decide } from '../conflicts.js';
import { isServiceSpool } from '../container-rules.js';
import type { Device } from '../device.js';
import { fileBody } from '../entry-body.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { dequeue, enqueue, loadPending, type PendingEntry } from '../pending.js';
import { uploadConstraints } from '../service-constraints.js';
import { domainOf } from '../session.js';
import { encryptBody, type PlannedEntry } from '../writer.js';
import { flushPending } from './flush.js';
import { recordingEvidence } from './record-evidence.js';
import { syncAccount } from './sync.js';

/** A file to be put into a container under its name. */
export interface UploadFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Where an entry came to stand. */
export interface UploadedEntry {
  readonly name: string;
  readonly uniqueId: string;
  readonly frameIndex: number;
}

/** What an upload came to. */
export interface UploadResult {
  readonly container: string;
  readonly frameCount: number;
  readonly digest: Uint8Array | undefined;
  readonly root: Uint8Array;
  readonly entries: readonly UploadedEntry[];
  /** Entries that others had changed as well. */
  readonly conflicts: readonly Conflict[];
}

interface BatchBounds {
  readonly entriesMax: number;
  readonly payloadBytesMax: number;
}

/** Splits entries into batches that the service takes. Frame 0 counts too, so one place stays free. */
export function splitBatches<E extends PlannedEntry>(entries: readonly E[], bounds: BatchBounds): E[][] {
  const batches: E[][] = [];
  let batch: E[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry.body?.payload.length ?? 0;
    if (size > bounds.payloadBytesMax) {
      throw new ClientError(
        'entry',
        `${entry.name} is too large: ${bounds.payloadBytesMax} octets at most when encrypted`,
      );
    }
    if (batch.length > 0 && (batch.length >= bounds.entriesMax - 1 || bytes + size > bounds.payloadBytesMax)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** What the service takes in one Upload. */
export async function boundsOf(device: Device): Promise<BatchBounds> {
  const { session } = device;
  const { home, environment, state } = session;
  const { entriesMax, payloadBytesMax } = await uploadConstraints(
    home,
    domainOf(state.address),
    environment.nowMs(),
    async () => {
      const { ConstraintsUpdate: heard } = (await session.hello()).message;
      return { entriesMax: heard?.MaxEntries, payloadBytesMax: heard?.BytesMax };
    },
  );
  return {
    entriesMax: Math.max(2, Math.min(uploadEntriesMax, entriesMax ?? uploadEntriesMax)),
    payloadBytesMax: Math.min(uploadPayloadBytesMax, payloadBytesMax ?? uploadPayloadBytesMax),
  };
}

function requireWritable(container: string): void {
  if (!isAccountContainer(container)) {
    throw new ClientError(
      'usage',
      `${container} cannot be the name of a container; use PREFIX_Name, for example my_Notes`,
    );
  }
  if (container === deviceCatalog) {
    throw new ClientError('usage', `${deviceCatalog} lists the account's devices; it is not for files`);
  }
  if (isServiceSpool(container)) {
    throw new ClientError('usage', `${container} holds messages that the service files; it cannot be written to`);
  }
}

async function encryptFiles(device: Device, container: string, files: readonly UploadFile[]): Promise<PendingEntry[]> {
  const { session } = device;
  const { environment, keys } = session;
  const { replay, isLegacy } = (await device.replica(container)).reader;
  if (isLegacy) throw new ClientError('legacy', `${container} has no manifests and can only be read`);
  // In a spool every entry stands for itself, whatever its name.
  const isSpool = containerKind(container, undefined) === 'spool' || replay?.kind === 'spool';
  const entries: PendingEntry[] = [];
  for (const { name, content } of files) {
    const modifiedMs = environment.nowMs();
    const body = encryptBody(session, fileBody(name, content, modifiedMs));
    const uniqueId = isSpool ? nonceUdf(environment.random) : uniqueIdFor(keys.keyBlind, container, name);
    entries.push({ name, uniqueId, body, base: replay?.items.get(uniqueId)?.current, modifiedMs });
    await showProgress(environment, 'encrypting', entries.length, files.length);
  }
  return entries;
}

async function enqueueFiles(
  device: Device,
  container: string,
  files: readonly UploadFile[],
  bounds: BatchBounds,
): Promise<string[]> {
  const names: string[] = [];
  for (const batch of splitBatches(await encryptFiles(device, container, files), bounds)) {
    names.push(await enqueue(device.session.home, container, batch));
  }
  return names;
}

/**
 * Encrypts files and puts them into the queue: the next synchronisation uploads them. Nothing is sent.
 * @returns how many entries wait in the queue now, earlier ones included
 * @throws ClientError
 */
export async function queueFiles(device: Device, container: string, files: readonly UploadFile[]): Promise<number> {
  requireWritable(container);
  // What the service takes is not known here; these are the bounds of ours, and a refusal would come later.
  await enqueueFiles(device, container, files, {
    entriesMax: uploadEntriesMax,
    payloadBytesMax: uploadPayloadBytesMax,
  });
  const queue = await loadPending(device.session.home);
  return queue.reduce((sum, { entries }) => sum + entries.length, 0);
}

/** The files are in the queue by then; without a word the user would upload them again. */
function sayThatItWaits(error: unknown): never {
  if (!(error instanceof ClientError) || error.code !== 'unavailable') throw error;
  const { message, cause } = error;
  throw new ClientError('unavailable', `${message}; the files wait here for: mesh account sync`, { cause });
}

/**
 * Encrypts files and appends them to a container of the account, which is made if it does not exist. A file of the same
 * name replaces the earlier one. What cannot be sent now waits in the queue for the next synchronisation.
 * @throws ClientError
 */
export async function uploadFiles(
  device: Device,
  container: string,
  files: readonly UploadFile[],
  decide?: Decide,
): Promise<UploadResult> {
  requireWritable(container);
  const { home } = device.session;
  await requireNoEvidence(home);
  const bounds = await boundsOf(device);
  const waiting = (await loadPending(home)).map((batch) => batch.container);
  await syncAccount(device, [container, ...waiting]);
  const own = await enqueueFiles(device, container, files, bounds);
  return recordingEvidence(device, async () => {
    const flushed = await flushPending(device, decide).catch(sayThatItWaits);
    const failure = flushed.failures.find((each) => each.container === container);
    if (failure !== undefined) {
      // The user is told now, and would be surprised to see it succeed later.
      for (const name of own) await dequeue(home, name);
      throw failure.error;
    }
    const { size, apex, root } = (await device.replica(container)).reader;
    const entries = flushed.placed
      .filter(({ batch }) => own.includes(batch))
      .map(({ name, uniqueId, frameIndex }) => ({ name, uniqueId, frameIndex }));
    return { container, frameCount: size, digest: apex, root, entries, conflicts: flushed.conflicts };
  });
}
