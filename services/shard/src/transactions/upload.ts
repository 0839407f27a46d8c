import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { messageBytesMax, uploadEntriesMax, uploadManifestsMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { authorise, type Caller, type Principal } from '../authorise.js';
import type { RequestIdentity, ShardContext } from '../context.js';
import { incidentRecord } from '../service-records.js';
import type { ServiceAppend } from '../storage/store.js';
import { answerOf, devicePrincipal, findAnswer, type WritingRequest } from '../stored-answer.js';
import { type EntryFault, isFault } from '../upload/fault.js';
import { openFrame, type UploadedFrame } from '../upload/frame.js';
import { type AcceptedRun, faultsOf, Refused, UploadWork } from '../upload/work.js';

export type { AcceptedRun } from '../upload/work.js';

/** One container's part of a request. */
export interface UploadUpdate {
  readonly container: string;
  /** Frame count that the writer expects. */
  readonly index: number | undefined;
  /** DARE apex before or after the batch. */
  readonly digest: Uint8Array | undefined;
  readonly envelopes: readonly EnvelopeOctets[];
}

/** An Upload request. */
export interface UploadRequest {
  readonly principal: Principal;
  readonly identity: RequestIdentity;
  readonly updates: readonly UploadUpdate[];
  /** Messages for the account's own inbound spool. */
  readonly self: readonly EnvelopeOctets[];
  /** Whether to send the signed heads (S45). */
  readonly heads: boolean;
}

/** All entries are stored, or were before. */
export interface UploadAccepted {
  readonly status: 201;
  readonly accepted: readonly AcceptedRun[];
  readonly heads?: EnvelopeOctets | undefined;
}

/** Nothing was stored. */
export interface UploadRefused {
  /** Entries at fault, in order; at least one. */
  readonly faults: readonly EntryFault[];
}

/** What may still be sent. */
export interface DataConstraints {
  readonly entriesMax?: number;
  readonly bytesMax?: number;
}

/** Nothing was stored: entries without body were offered, and this is what would become of them. */
export interface UploadProbed {
  readonly status: 300;
  /** One an entry, in order. */
  readonly entries: readonly (EntryFault | ProbedEntry)[];
  /** Of all entries together. */
  readonly constraints: DataConstraints;
  readonly heads?: EnvelopeOctets | undefined;
}

/** An entry whose body may be sent. */
export interface ProbedEntry {
  readonly indexRequest: number;
  readonly constraints: DataConstraints;
}

export type UploadResult = UploadAccepted | UploadRefused | UploadProbed;

/**
 * Upload (semantics 5.1, 6.6; S40–S42): appends batches to containers of the account, and messages to its inbound spool,
 * all or nothing.
 *
 * Frames are opened, and digested once each, before the account is held; then batches are judged in order, each on top
 * of the ones before it. In the ordinary case the one signature checked is that of the batch's manifest.
 *
 * If any entry comes without its body the request is a probe: it is judged as far as it goes and changes nothing.
 *
 * @returns the entries' places, or the entries at fault; in that case nothing was written.
 * @throws MeshError for what concerns the request as a whole.
 */
export async function upload(context: ShardContext, request: UploadRequest): Promise<UploadResult> {
  const { principal, identity } = request;
  const opened = openRequest(request);
  const writing = { principal: devicePrincipal(principal.account, principal.key), identity };
  if (isProbe(opened) && !(await isCopied(context, request))) return probe(context, request, opened, writing);
  try {
    return await context.store.transactAccount(principal.account, async (transactor) => {
      const answered = await findAnswer<UploadAccepted>(transactor, writing);
      if (answered !== undefined) {
        return { ...answered, heads: await headsForRepetition(context, request, transactor.state) };
      }
      const caller = await authorise(principal, transactor.state, {
        away: 'copy',
        ...(canRecover(request) ? { recovery: 'list' } : {}),
      });
      const work = new UploadWork({ reader: transactor, caller, nowMs: context.clock(), probe: false });
      await judgeAll(work, opened, caller);
      const result: UploadAccepted = { status: 201, accepted: work.accepted };
      const service = restoredRecords(context, principal, work);
      await transactor.commit({ ...work.write(), service, seen: answerOf(writing, result) });
      return { ...result, heads: await headsOf(context, request, transactor.state) };
    });
  } catch (error) {
    if (error instanceof Refused) return { faults: error.faults };
    throw error;
  }
}

/** An upload to the device catalog and nothing else; an empty one is none. */
function canRecover({ updates, self }: UploadRequest): boolean {
  return updates.length > 0 && self.length === 0 && updates.every((update) => update.container === deviceCatalog);
}

/**
 * Judges every batch and message, so that the answer names every entry at fault (semantics 6.6). Of what stands behind a
 * refused batch of the same container nothing can be said, and nothing is.
 *
 * A device that may only recover is not told what is wrong with its batch: unless all is right it is a stranger.
 */
async function judgeAll(work: UploadWork, opened: OpenedRequest, caller: Caller): Promise<void> {
  const faults: EntryFault[] = [];
  const refused = new Set<string>();
  for (const one of opened.updates) {
    if (refused.has(one.update.container)) continue;
    const found = await faultsOfUpdate(work, one);
    if (found.length > 0) refused.add(one.update.container);
    faults.push(...found);
  }
  faults.push(...(await faultsOfSelf(work, opened.self)));
  if (faults.length === 0) return;
  throw (caller.by === 'recovery' ? caller.refusal : undefined) ?? new Refused(faults);
}

/** Entries that cannot be read are faults like others, told only to who may ask at all. */
async function faultsOfUpdate(work: UploadWork, { update, frames }: OpenedUpdate): Promise<readonly EntryFault[]> {
  const unreadable = frames.filter(isFault);
  if (unreadable.length > 0) return unreadable;
  const { container, index: indexStated, digest: digestStated } = update;
  return faultsOf(() => work.add({ container, indexStated, digestStated, frames: frames as UploadedFrame[] }));
}

/** Messages stand each for itself: one that cannot be read says nothing of the others. */
export async function faultsOfSelf(work: UploadWork, self: readonly OpenedEntry[]): Promise<readonly EntryFault[]> {
  const unreadable = self.filter(isFault);
  const readable = self.filter((entry): entry is UploadedFrame => !isFault(entry));
  if (readable.length === 0) return unreadable;
  const faults = [...unreadable, ...(await faultsOf(() => work.addSelf(readable)))];
  return faults.sort((one, other) => one.indexRequest - other.indexRequest);
}

async function headsOf(
  context: ShardContext,
  request: UploadRequest,
  state: Caller['state'] | undefined,
): Promise<EnvelopeOctets | undefined> {
  return request.heads && state !== undefined ? context.heads.envelopeOf(state, context.clock()) : undefined;
}

/**
 * Whoever asked then is asking again, and gets what was kept. Heads are not part of it: those of then may be too old to be
 * believed by now, so they are made anew, for who may still ask.
 */
async function headsForRepetition(
  context: ShardContext,
  request: UploadRequest,
  state: Caller['state'] | undefined,
): Promise<EnvelopeOctets | undefined> {
  if (!request.heads) return undefined;
  try {
    await authorise(request.principal, state, { away: 'copy' });
  } catch (error) {
    if (error instanceof MeshError) return undefined;
    throw error;
  }
  return headsOf(context, request, state);
}

/** A service that had lost what its devices kept: the operator should know (S47). */
function restoredRecords(context: ShardContext, { account }: Principal, { restored }: UploadWork): ServiceAppend[] {
  if (restored.length === 0) return [];
  const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
  const places = restored.map(
    ({ container, firstIndex, count }) => `${container} ${firstIndex}..${firstIndex + count - 1}`,
  );
  const detail = `a device brought back what others had written: ${places.join(', ')}`;
  return [incidentRecord(maker, { kind: 'history-restored', account, detail })];
}

export type OpenedEntry = UploadedFrame | EntryFault;

interface OpenedUpdate {
  readonly update: UploadUpdate;
  readonly frames: readonly OpenedEntry[];
}

interface OpenedRequest {
  readonly updates: readonly OpenedUpdate[];
  readonly self: readonly OpenedEntry[];
}

/** Opens every envelope; bounds first, so that nothing is digested of a request that is too large. */
function openRequest({ updates, self }: UploadRequest): OpenedRequest {
  const envelopes = [...updates.flatMap((update) => update.envelopes), ...self];
  if (envelopes.length > uploadEntriesMax) throw new MeshError('too-large', `at most ${uploadEntriesMax} entries`);
  // Each costs the verification of a signature.
  if (updates.length + self.length > uploadManifestsMax) {
    throw new MeshError('too-large', `at most ${uploadManifestsMax} updates and messages`);
  }
  const payloadBytes = envelopes.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
  if (payloadBytes > uploadPayloadBytesMax) {
    throw new MeshError('too-large', `at most ${uploadPayloadBytesMax} octets of payload`);
  }
  let indexRequest = 0;
  return {
    updates: updates.map((update) => {
      if (update.envelopes.length === 0) throw new MeshError('malformed', 'an update without envelopes');
      return { update, frames: update.envelopes.map((octets) => openFrame(octets, indexRequest++)) };
    }),
    self: self.map((octets) => openFrame(octets, indexRequest++)),
  };
}

function entriesOf({ updates, self }: OpenedRequest): OpenedEntry[] {
  return [...updates.flatMap(({ frames }) => frames), ...self];
}

function isProbe(opened: OpenedRequest): boolean {
  return entriesOf(opened).some((entry) => !isFault(entry) && entry.redacted);
}

/**
 * Whether the account stands by here: what is copied from another service may lack bodies that were removed there, and who
 * copies does not ask.
 */
async function isCopied({ store }: ShardContext, { principal }: UploadRequest): Promise<boolean> {
  if (principal.moves !== true) return false;
  return store.readAccount(principal.account, async ({ state }) => state !== undefined && state.away !== null);
}

/**
 * Judges a request of which bodies are missing (semantics 6.6): who may, whether it fits, and whether the entries would be
 * taken where they say. Nothing is written and nothing is reserved.
 */
async function probe(
  context: ShardContext,
  request: UploadRequest,
  opened: OpenedRequest,
  writing: WritingRequest,
): Promise<UploadProbed> {
  const { principal } = request;
  return context.store.readAccount(principal.account, async (reader) => {
    // A probe leaves nothing behind; only an ID that stands for something else is refused.
    await findAnswer(reader, writing);
    const caller = await authorise(principal, reader.state);
    const work = new UploadWork({ reader, caller, nowMs: context.clock(), probe: true });
    const { entries: entriesLeft, bytes: bytesLeft } = work.room;
    const constraints = {
      entriesMax: Math.min(uploadEntriesMax, entriesLeft),
      bytesMax: Math.min(uploadPayloadBytesMax, bytesLeft),
    };
    const faults = await probeAll(work, opened);
    const selfFrom = entriesOf(opened).length - opened.self.length;
    const entries = entriesOf(opened).map((_, indexRequest) => {
      const bytesMax = Math.min(
        constraints.bytesMax,
        indexRequest < selfFrom ? uploadPayloadBytesMax : messageBytesMax,
      );
      return faults.get(indexRequest) ?? { indexRequest, constraints: { bytesMax } };
    });
    return { status: 300, entries, constraints, heads: await headsOf(context, request, caller.state) };
  });
}

/** Judges what can be judged; a fault in one place does not hide those in others. */
async function probeAll(work: UploadWork, opened: OpenedRequest): Promise<ReadonlyMap<number, EntryFault>> {
  const faults: EntryFault[] = [];
  for (const update of opened.updates) faults.push(...(await faultsOfUpdate(work, update)));
  faults.push(...(await faultsOfSelf(work, opened.self)));
  return new Map(faults.map((fault) => [fault.indexRequest, fault]));
}
