import { nonceUdf } from '@meshd/crypto/udf';
import { uploadEntriesMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import { deviceCatalog, isAccountContainer } from '@meshd/schema/container-name';
import { uniqueIdFor } from '../blind.js';
import { isServiceSpool } from '../container-rules.js';
import type { Device } from '../device.js';
import { fileBody } from '../entry-body.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import type { Replica } from '../replica.js';
import { uploadConstraints } from '../service-constraints.js';
import { domainOf } from '../session.js';
import { buildBatch, encryptBody, type PlannedEntry } from '../writer.js';
import { sendBatch } from './send-batch.js';
import { syncAccount, syncContainer } from './sync.js';

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
}

/** Other writers may win this often before the user is told; each time everything they wrote is fetched first. */
const conflictsMax = 20;
/** Longest wait between two attempts; random, so that two devices do not keep meeting. */
const conflictPauseMsMax = 400;

interface BatchBounds {
  readonly entriesMax: number;
  readonly payloadBytesMax: number;
}

/** Splits entries into batches that the service takes. Frame 0 counts too, so one place stays free. */
export function splitBatches(entries: readonly PlannedEntry[], bounds: BatchBounds): PlannedEntry[][] {
  const batches: PlannedEntry[][] = [];
  let batch: PlannedEntry[] = [];
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

async function boundsOf(device: Device): Promise<BatchBounds> {
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

/** Sends one batch, as often as others get in between: synchronise, build anew, sign again (S42). */
async function sendUntilAccepted(device: Device, replica: Replica, batch: readonly PlannedEntry[]): Promise<void> {
  const { session } = device;
  for (let conflict = 0; conflict < conflictsMax; conflict += 1) {
    if (await sendBatch(device, replica, buildBatch(session, replica.reader, batch))) return;
    const [octet = 0] = session.environment.random(1);
    await session.environment.pause((octet / 255) * conflictPauseMsMax);
    await syncContainer(device, replica.reader.container);
  }
  throw new ClientError('conflict', `others keep writing to ${replica.reader.container}; try again later`);
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

async function encryptFiles(device: Device, container: string, files: readonly UploadFile[]): Promise<PlannedEntry[]> {
  const { session } = device;
  const { environment, keys } = session;
  // In a spool every entry stands for itself, whatever its name.
  const isSpool = (await device.replica(container)).reader.replay?.kind === 'spool';
  const entries: PlannedEntry[] = [];
  for (const { name, content } of files) {
    const body = encryptBody(session, fileBody(name, content, environment.nowMs()));
    entries.push({
      name,
      uniqueId: isSpool ? nonceUdf(environment.random) : uniqueIdFor(keys.keyBlind, container, name),
      body,
    });
    await showProgress(environment, 'encrypting', entries.length, files.length);
  }
  return entries;
}

/**
 * Encrypts files and appends them to a container of the account, which is made if it does not exist. A file of the same
 * name replaces the earlier one.
 * @throws ClientError
 */
export async function uploadFiles(
  device: Device,
  container: string,
  files: readonly UploadFile[],
): Promise<UploadResult> {
  requireWritable(container);
  const { session } = device;
  const bounds = await boundsOf(device);
  await syncAccount(device, [container]);
  const replica = await device.replica(container);
  if (replica.reader.isLegacy) {
    throw new ClientError('legacy', `${container} has no manifests and can only be read`);
  }
  const entries = await encryptFiles(device, container, files);
  const places: UploadedEntry[] = [];
  for (const batch of splitBatches(entries, bounds)) {
    await sendUntilAccepted(device, replica, batch);
    const firstIndex = replica.reader.size - batch.length;
    places.push(...batch.map(({ name, uniqueId }, at) => ({ name, uniqueId, frameIndex: firstIndex + at })));
    session.environment.progress('uploading', places.length, files.length);
  }
  const { size, apex, root } = replica.reader;
  return { container, frameCount: size, digest: apex, root, entries: places };
}
