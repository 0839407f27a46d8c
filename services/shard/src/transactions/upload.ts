import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { uploadEntriesMax, uploadManifestsMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { sameKey, writersOf } from '../account-keys.js';
import { authorise, type Caller, type Principal } from '../authorise.js';
import type { RequestIdentity, ShardContext } from '../context.js';
import type { AccountTransactor, AccountWrite } from '../storage/store.js';
import { answerOf, devicePrincipal, findAnswer } from '../stored-answer.js';
import { judgeAccess } from '../upload/container-access.js';
import { type DeviceWork, judgeDevices } from '../upload/device-batch.js';
import { type EntryFault, isFault, reject } from '../upload/fault.js';
import { openFrame, type UploadedFrame } from '../upload/frame.js';
import { type JudgedBatch, judgeBatch, leavesOf } from '../upload/judge.js';
import { verifyPending } from '../upload/manifest-rules.js';
import { mergeWrites } from '../upload/merge-writes.js';
import { firstIndexOf, judgePosition, judgeRepetition, type UpdateBatch } from '../upload/position.js';
import { chargeBatch, defaultQuota, type Usage } from '../upload/quota.js';
import { readIdentities, readKeys } from '../upload/read-state.js';
import { type ContainerView, viewOf } from '../upload/view.js';

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
}

/** Entries that follow each other in request and container alike. */
export interface AcceptedRun {
  readonly indexRequest: number;
  readonly indexContainer: number;
  readonly count: number;
}

/** All entries are stored, or were before. */
export interface UploadAccepted {
  readonly status: 201;
  readonly accepted: readonly AcceptedRun[];
}

/** Nothing was stored. */
export interface UploadRefused {
  /** Entries at fault, in order; at least one. */
  readonly faults: readonly EntryFault[];
}

export type UploadResult = UploadAccepted | UploadRefused;

/** Ends the judging of a batch, and of a request: what is wrong is known. */
class Refused extends Error {
  readonly faults: readonly EntryFault[];

  constructor(faults: readonly EntryFault[]) {
    super('upload refused');
    this.faults = faults;
  }
}

/**
 * Upload (semantics 5.1, 6.6; S40–S42): appends batches to containers of the account, all or nothing.
 *
 * Frames are opened, and digested once each, before the account is held; then batches are judged in order, each on top
 * of the ones before it. In the ordinary case the one signature checked is that of the batch's manifest.
 *
 * @returns the entries' places, or the entries at fault; in that case nothing was written.
 * @throws MeshError for what concerns the request as a whole.
 */
export async function upload(context: ShardContext, request: UploadRequest): Promise<UploadResult> {
  const { principal, identity } = request;
  const opened = openUpdates(request.updates);
  const writing = { principal: devicePrincipal(principal.account, principal.key), identity };
  try {
    return await context.store.transactAccount(principal.account, async (transactor) => {
      const answered = await findAnswer<UploadAccepted>(transactor, writing);
      if (answered !== undefined) return answered;
      const caller = await authorise(principal, transactor.state, { allowRecovery: canRecover(request.updates) });
      const work = new UploadWork(context, transactor, caller);
      await judgeAll(work, opened, caller);
      const result: UploadAccepted = { status: 201, accepted: work.accepted };
      await transactor.commit({ ...work.write(), seen: answerOf(writing, result) });
      return result;
    });
  } catch (error) {
    if (error instanceof Refused) return { faults: error.faults };
    throw error;
  }
}

/** An upload to the device catalog and nothing else; an empty one is none. */
function canRecover(updates: readonly UploadUpdate[]): boolean {
  return updates.length > 0 && updates.every((update) => update.container === deviceCatalog);
}

/**
 * Judges every batch, so that the answer names every entry at fault (semantics 6.6). Of what stands behind a refused
 * batch of the same container nothing can be said, and nothing is.
 *
 * A device that may only recover is not told what is wrong with its batch: unless all is right it is a stranger.
 */
async function judgeAll(work: UploadWork, opened: readonly OpenedUpdate[], caller: Caller): Promise<void> {
  const faults: EntryFault[] = [];
  const refused = new Set<string>();
  for (const one of opened) {
    if (refused.has(one.update.container)) continue;
    const found = await faultsOf(work, one);
    if (found.length > 0) refused.add(one.update.container);
    faults.push(...found);
  }
  if (faults.length === 0) return;
  throw (caller.by === 'recovery' ? caller.refusal : undefined) ?? new Refused(faults);
}

/** Entries that cannot be read are faults like others, told only to who may write at all. */
async function faultsOf(work: UploadWork, { update, frames }: OpenedUpdate): Promise<readonly EntryFault[]> {
  const unreadable = frames.filter(isFault);
  if (unreadable.length > 0) return unreadable;
  const { container, index: indexStated, digest: digestStated } = update;
  try {
    await work.add({ container, indexStated, digestStated, frames: frames as UploadedFrame[] });
    return [];
  } catch (error) {
    if (error instanceof Refused) return error.faults;
    throw error;
  }
}

interface OpenedUpdate {
  readonly update: UploadUpdate;
  readonly frames: readonly (UploadedFrame | EntryFault)[];
}

/** Opens every envelope; bounds first, so that nothing is digested of a request that is too large. */
function openUpdates(updates: readonly UploadUpdate[]): OpenedUpdate[] {
  const envelopes = updates.flatMap((update) => update.envelopes);
  if (envelopes.length > uploadEntriesMax) throw new MeshError('too-large', `at most ${uploadEntriesMax} entries`);
  if (updates.length > uploadManifestsMax) throw new MeshError('too-large', `at most ${uploadManifestsMax} updates`);
  const payloadBytes = envelopes.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
  if (payloadBytes > uploadPayloadBytesMax) {
    throw new MeshError('too-large', `at most ${uploadPayloadBytesMax} octets of payload`);
  }
  let indexRequest = 0;
  return updates.map((update) => {
    if (update.envelopes.length === 0) throw new MeshError('malformed', 'an update without envelopes');
    return { update, frames: update.envelopes.map((octets) => openFrame(octets, indexRequest++)) };
  });
}

/** The batches of one request as they add up; each is judged on top of the ones before it. */
class UploadWork {
  readonly accepted: AcceptedRun[] = [];
  readonly #context: ShardContext;
  readonly #transactor: AccountTransactor;
  readonly #caller: Caller;
  readonly #views = new Map<string, ContainerView>();
  readonly #judged: JudgedBatch[] = [];
  #devices: DeviceWork | undefined;
  #usage: Usage;

  constructor(context: ShardContext, transactor: AccountTransactor, caller: Caller) {
    this.#context = context;
    this.#transactor = transactor;
    this.#caller = caller;
    const { bytesUsed: bytes, frameCount, containers } = caller.state;
    this.#usage = { bytes, frameCount, containerCount: containers.size };
  }

  /** Judges one batch and takes it, or throws what is wrong with it. */
  async add(batch: UpdateBatch): Promise<void> {
    const first = batch.frames[0] as UploadedFrame;
    refuseFault(judgeAccess(batch.container, this.#caller.permissions, first.indexRequest));
    const view = this.#viewOf(batch.container);
    const position = judgePosition(batch, view?.frameCount ?? 0);
    if (isFault(position)) throw new Refused([position]);
    const indexContainer = firstIndexOf(batch) ?? 0;
    if (position === 'repeat') await this.#acceptRepetition(batch, indexContainer, view as ContainerView);
    else await this.#append(batch, view);
    this.accepted.push({ indexRequest: first.indexRequest, indexContainer, count: batch.frames.length });
  }

  /** Everything that the request changes. */
  write(): AccountWrite {
    return { containers: mergeWrites(this.#judged.map(({ write }) => write)), ...this.#devices };
  }

  #viewOf(container: string): ContainerView | undefined {
    const changed = this.#views.get(container);
    if (changed !== undefined) return changed;
    const stored = this.#caller.state.containers.get(container);
    if (stored === undefined) return undefined;
    if (stored.damaged) throw new MeshError('overloaded', 'the container is read-only', { resource: container });
    return viewOf(stored);
  }

  async #append(batch: UpdateBatch, view: ContainerView | undefined): Promise<void> {
    const { state } = this.#caller;
    const stored = state.containers.get(batch.container);
    const keys = await readKeys(this.#transactor, stored, batch.frames, this.#changesOf(batch.container));
    const judged = judgeBatch({ batch, accountUdf: state.accountUdf, view, keys });
    if (Array.isArray(judged)) throw new Refused(judged);
    const quota = { ...defaultQuota, ...state.quota };
    const usage = chargeBatch(this.#usage, quota, batch.frames, view === undefined);
    if (isFault(usage)) throw new Refused([usage]);
    const signer = await this.#verifyManifests(judged);
    if (batch.container === deviceCatalog) await this.#addDevices(judged, signer);
    this.#usage = usage;
    this.#views.set(batch.container, judged.view);
    this.#judged.push(judged);
  }

  #changesOf(container: string) {
    return this.#judged.filter(({ batch }) => batch.container === container).flatMap(({ changes }) => changes);
  }

  /** The key that signed the batch's last manifest; undefined in a legacy container. */
  async #verifyManifests(judged: JudgedBatch): Promise<PublicKeyEd448 | undefined> {
    const { state, keySignature } = this.#caller;
    const entitled = writersOf(state, judged.batch.container, keySignature);
    const signers = await Promise.all(judged.manifests.map((pending) => verifyPending(pending, entitled)));
    refuseFault(signers.find(isFault));
    return signers.at(-1) as PublicKeyEd448 | undefined;
  }

  async #addDevices(judged: JudgedBatch, signer: PublicKeyEd448 | undefined): Promise<void> {
    const lastRequestIndex = judged.batch.frames.at(-1)?.indexRequest ?? 0;
    if (this.#devices !== undefined) {
      throw new Refused([reject(lastRequestIndex, 'malformed', 'one update of the device catalog a request')]);
    }
    const { by, state } = this.#caller;
    const mayRecover = signer !== undefined && sameKey(signer.raw, state.meshOfflineKey);
    if (signer === undefined || (by === 'recovery' && !mayRecover)) {
      throw new Refused([
        reject(lastRequestIndex, 'administrator-required', 'the device catalog is written by administrators'),
      ]);
    }
    const devices = await judgeDevices(this.#transactor, this.#caller, judged, signer, this.#context.clock());
    if (Array.isArray(devices)) throw new Refused(devices);
    this.#devices = devices;
  }

  async #acceptRepetition(batch: UpdateBatch, indexContainer: number, view: ContainerView): Promise<void> {
    // Nothing in a repetition proves the offline key now, and that is all such a device may come in by.
    if (this.#caller.by === 'recovery') throw this.#caller.refusal ?? new MeshError('not-authenticated');
    const repeated = leavesOf(batch.frames, indexContainer);
    const stored = this.#caller.state.containers.get(batch.container);
    const identities = await readIdentities(this.#transactor, stored, indexContainer, batch.frames.length);
    refuseFault(judgeRepetition(repeated, identities, view.legacy));
  }
}

function refuseFault(fault: EntryFault | undefined): void {
  if (fault !== undefined) throw new Refused([fault]);
}
