import { makeRequestId } from '@meshd/binding/request-id';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { writeConflictPauseMsMax, writeConflictsMax } from '@meshd/limits/client';
import { clockSkewMsMax } from '@meshd/limits/limits';
import { type Conflict, type Decide, decideLater, resolveEntry } from '../conflicts.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import {
  dequeue,
  forgetSent,
  loadPending,
  loadSent,
  type PendingBatch,
  type PendingEntry,
  type SentBatch,
  savePending,
  saveSent,
} from '../pending.js';
import { isUnderCurrentKey, plainOfPlanned, readingKey } from '../reading-key.js';
import type { Replica } from '../replica.js';
import type { Session } from '../session.js';
import { buildBatch, encryptBody, type PlannedEntry } from '../writer.js';
import { requireCurrentKey } from './adopt-keys.js';
import { sendBatch } from './send-batch.js';
import { syncContainer } from './sync.js';

/** Where an entry came to stand. */
export interface PlacedEntry {
  readonly container: string;
  readonly name: string;
  readonly uniqueId: string;
  readonly frameIndex: number;
  /** Name of its batch in the queue. */
  readonly batch: string;
}

/** What became of the queue. */
export interface Flushed {
  readonly placed: readonly PlacedEntry[];
  readonly conflicts: readonly Conflict[];
  /** Entries that are still waiting. */
  readonly waitingCount: number;
  /** The first refusal of a batch; what waits behind it in its container waits on. */
  readonly failures: readonly { readonly container: string; readonly error: ClientError }[];
}

const manifestOf = (octets: EnvelopeOctets | undefined) =>
  octets && openEnvelope(octets).signatures.find(({ Manifest }) => Manifest !== undefined)?.Manifest;

/** Whether what was sent by an earlier attempt stands in the container: its manifest is there. */
async function hasArrived(replica: Replica, { index, envelopes }: SentBatch): Promise<boolean> {
  const last = index + envelopes.length - 1;
  if (replica.reader.size <= last) return false;
  const [sent, found] = [manifestOf(envelopes.at(-1)), manifestOf(await replica.envelope(last))];
  return sent !== undefined && found !== undefined && constantTimeEqual(sent, found);
}

function placesOf(batch: PendingBatch, { index, envelopes, entries }: SentBatch): PlacedEntry[] {
  const first = index + envelopes.length - entries.length;
  return entries.map(({ name, uniqueId }, at) => ({
    ...{ container: batch.container, name, uniqueId, frameIndex: first + at, batch: batch.name },
  }));
}

/** The entry as it waits, encrypted anew where the account's key has changed since (S62). */
function underCurrentKey(session: Session, entry: PendingEntry): PendingEntry {
  if (entry.body === undefined || isUnderCurrentKey(session, entry.body.header)) return entry;
  const plain = plainOfPlanned(entry, readingKey(session));
  return plain === undefined ? entry : { ...entry, body: encryptBody(session, plain) };
}

/** What an earlier run left out of its attempt: the user had not decided, or it was not wanted. It is looked at again. */
function notSent(batch: PendingBatch, sent: SentBatch): PendingEntry[] {
  return batch.entries.filter(({ uniqueId }) => !sent.entries.some((entry) => entry.uniqueId === uniqueId));
}

interface Planned {
  readonly write: readonly PlannedEntry[];
  readonly open: readonly PendingEntry[];
  readonly conflicts: readonly Conflict[];
}

class Flusher {
  readonly #device: Device;
  readonly #decide: Decide;

  constructor(device: Device, decide: Decide) {
    this.#device = device;
    this.#decide = decide;
  }

  /** Uploads one batch, as often as others get in between. @returns where its entries stand, and what is left of it */
  async flush(batch: PendingBatch): Promise<{ placed: PlacedEntry[]; planned: Planned }> {
    const { session } = this.#device;
    const { home, environment } = session;
    const replica = await this.#device.replica(batch.container);
    if (replica.reader.isLegacy) {
      throw new ClientError('legacy', `${batch.container} has no manifests and can only be read`);
    }
    let planned: Planned = { write: [], open: [], conflicts: [] };
    for (let conflict = 0; conflict < writeConflictsMax; conflict += 1) {
      let sent = await loadSent(home, batch.name);
      if (sent !== undefined && conflict === 0) planned = { ...planned, open: notSent(batch, sent) };
      if (sent !== undefined && (await hasArrived(replica, sent))) return { placed: placesOf(batch, sent), planned };
      const isOutdated = sent?.envelopes.some((octets) => !isUnderCurrentKey(session, openEnvelope(octets).header));
      if (sent === undefined || isOutdated === true || sent.index !== replica.reader.size) {
        planned = await this.#plan(batch, replica);
        if (planned.write.length === 0) return { placed: [], planned };
        sent = this.#seal(replica, planned.write);
        await saveSent(home, batch.name, sent);
      }
      // A repetition is known by its ID for ten minutes, and by its frames for ever.
      const isFresh = environment.nowMs() - sent.sentMs < clockSkewMsMax / 2;
      if (await sendBatch(this.#device, replica, sent.envelopes, isFresh ? sent.id : undefined)) {
        return { placed: placesOf(batch, sent), planned };
      }
      await forgetSent(home, batch.name);
      const [octet = 0] = environment.random(1);
      await environment.pause((octet / 255) * writeConflictPauseMsMax);
      await syncContainer(this.#device, batch.container);
    }
    throw new ClientError('conflict', `others keep writing to ${batch.container}; try again later`);
  }

  #seal(replica: Replica, entries: readonly PlannedEntry[]): SentBatch {
    const { session } = this.#device;
    const { nowMs, random } = session.environment;
    const { envelopes } = buildBatch(session, replica.reader, entries);
    return { id: makeRequestId(nowMs(), random), sentMs: nowMs(), index: replica.reader.size, envelopes, entries };
  }

  async #plan(batch: PendingBatch, replica: Replica): Promise<Planned> {
    const { session } = this.#device;
    const context = { session, replica, key: readingKey(session), decide: this.#decide };
    const write: PlannedEntry[] = [];
    const open: PendingEntry[] = [];
    const conflicts: Conflict[] = [];
    for (const waiting of batch.entries) {
      const entry = underCurrentKey(session, waiting);
      const resolution = await resolveEntry(context, entry);
      write.push(...resolution.write);
      if (resolution.isOpen) open.push(entry);
      if (resolution.conflict !== undefined) conflicts.push(resolution.conflict);
    }
    return { write, open, conflicts };
  }
}

/** Later changes of the same keys were made on top of these. */
async function rebase(device: Device, queue: PendingBatch[], placed: readonly PlacedEntry[]): Promise<void> {
  for (const [at, batch] of queue.entries()) {
    const placeOf = ({ uniqueId }: PendingEntry) =>
      placed.findLast((each) => each.uniqueId === uniqueId && each.container === batch.container);
    if (!batch.entries.some((entry) => placeOf(entry) !== undefined)) continue;
    const entries = batch.entries.map((entry) => {
      const place = placeOf(entry);
      return place === undefined ? entry : { ...entry, base: place.frameIndex };
    });
    const rebased = { ...batch, entries };
    queue[at] = rebased;
    await savePending(device.session.home, rebased);
  }
}

/**
 * Uploads what waits in the queue, in order, on top of what others have written. The replicas of its containers must be up
 * to date. Interrupted at any point it can be called again: nothing is lost, and nothing is written twice.
 *
 * @throws ClientError `unavailable` and the like; refusals are in the result, and what was refused stays in the queue
 */
export async function flushPending(device: Device, decide: Decide = decideLater): Promise<Flushed> {
  const { home, environment } = device.session;
  const queue = await loadPending(home);
  if (queue.length > 0) {
    await requireNoEvidence(home);
    await requireCurrentKey(device);
  }
  const flusher = new Flusher(device, decide);
  const total = queue.reduce((sum, { entries }) => sum + entries.length, 0);
  const placed: PlacedEntry[] = [];
  const conflicts: Conflict[] = [];
  const failures: { container: string; error: ClientError }[] = [];
  let waitingCount = 0;
  for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
    const { container, name } = batch;
    if (failures.some((failure) => failure.container === container)) {
      waitingCount += batch.entries.length;
      continue;
    }
    try {
      const result = await flusher.flush(batch);
      const { open } = result.planned;
      await rebase(device, queue, result.placed);
      if (open.length > 0) await savePending(home, { ...batch, entries: open });
      await (open.length > 0 ? forgetSent(home, name) : dequeue(home, name));
      placed.push(...result.placed);
      conflicts.push(...result.planned.conflicts);
      waitingCount += open.length;
      environment.progress('uploading', placed.length, total);
    } catch (error) {
      if (!(error instanceof ClientError) || !['refused', 'legacy', 'conflict'].includes(error.code)) throw error;
      await forgetSent(home, name);
      failures.push({ container, error });
      waitingCount += batch.entries.length;
    }
  }
  return { placed, conflicts, waitingCount, failures };
}
