import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { importPublicKey } from '@meshd/crypto/ed448';
import { openEnvelope } from '@meshd/dare/envelope';
import { encodeEdge } from '@meshd/dare/log-tree';
import { encodeTree } from '@meshd/dare/merkle';
import { deviceCatalog, inboundSpool, publicationCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { accountOnlineKeys, adminKeys, sameKey, writersOf } from '../account-keys.js';
import type { Caller } from '../authorise.js';
import { decisionsOf } from '../connect/decisions.js';
import { firstUseOf } from '../connect/first-use.js';
import { contactChanges } from '../message/contact-changes.js';
import { mayWrite } from '../permissions.js';
import { afterChanges, type ConnectionChange } from '../storage/connection-rows.js';
import type { AccountReader, AccountWrite, ContainerState, ContainerWrite, FrameRow } from '../storage/store.js';
import { judgeAccess } from './container-access.js';
import { judgeCopy, judgeCopyAccess } from './copy.js';
import { type DeviceWork, judgeDevices } from './device-batch.js';
import { erasuresOf } from './erasures.js';
import { type EntryFault, isFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import { type JudgedBatch, judgeBatch, leavesOf } from './judge.js';
import { type FormerWriter, verifyPending } from './manifest-rules.js';
import { keysAfterMarks, markedNames } from './marks.js';
import { mergeWrites } from './merge-writes.js';
import { firstIndexOf, judgePosition, judgeRepetition, type UpdateBatch } from './position.js';
import { judgePublicationCount, judgePublications, publicationsAdded } from './publication-rules.js';
import { chargeBatch, defaultQuota, type Quota, type Usage } from './quota.js';
import { readIdentities, readKeys } from './read-state.js';
import { isBehindCut } from './revocation-cuts.js';
import { isSameMessage, judgeSelf, needsAdministrator, type PendingSelf, placeMessage } from './self-entry.js';
import { type ContainerView, type KeyState, viewOf } from './view.js';

/** Entries that follow each other in request and container alike. */
export interface AcceptedRun {
  readonly indexRequest: number;
  readonly indexContainer: number;
  readonly count: number;
}

/** A batch that was sealed by another device than the one that brings it: history that the service had lost (S47). */
export interface RestoredBatch {
  readonly container: string;
  readonly firstIndex: number;
  readonly count: number;
}

/** Ends the judging of a batch, and of a request: what is wrong is known. */
export class Refused extends Error {
  readonly faults: readonly EntryFault[];

  constructor(faults: readonly EntryFault[]) {
    super('upload refused');
    this.faults = faults;
  }
}

/** What the judging ended with; none where it came to its end. */
export async function faultsOf(judge: () => Promise<void>): Promise<readonly EntryFault[]> {
  try {
    await judge();
    return [];
  } catch (error) {
    if (error instanceof Refused) return error.faults;
    throw error;
  }
}

/** What {@link UploadWork} works with. */
export interface UploadWorkOptions {
  readonly reader: AccountReader;
  readonly caller: Caller;
  readonly nowMs: number;
  /** Nothing will be written: manifests that are not there yet are not missed, and bodies neither. */
  readonly probe: boolean;
}

/** The entries of one request as they add up; each batch is judged on top of the ones before it. */
export class UploadWork {
  readonly accepted: AcceptedRun[] = [];
  readonly restored: RestoredBatch[] = [];
  readonly #reader: AccountReader;
  readonly #caller: Caller;
  readonly #nowMs: number;
  readonly #probe: boolean;
  readonly #quota: Quota;
  /** The account stands by here, and takes what is copied. */
  readonly #copies: boolean;
  readonly #views = new Map<string, ContainerView>();
  readonly #judged: JudgedBatch[] = [];
  #selfWrite: ContainerWrite | undefined;
  readonly #connections: ConnectionChange[] = [];
  #devices: DeviceWork | undefined;
  /** Keys of publications that change. */
  readonly #published = new Set<string>();
  #publicationsAdded = 0;
  #usage: Usage;

  constructor({ reader, caller, nowMs, probe }: UploadWorkOptions) {
    this.#reader = reader;
    this.#caller = caller;
    this.#nowMs = nowMs;
    this.#probe = probe;
    this.#copies = caller.state.away !== null;
    const { bytesUsed: bytes, frameCount, containers, quota } = caller.state;
    this.#quota = { ...defaultQuota, ...quota };
    this.#usage = { bytes, frameCount, containerCount: containers.size };
  }

  /** What the account may still take. */
  get room(): { readonly entries: number; readonly bytes: number } {
    const { framesMax, bytesMax } = this.#quota;
    const { frameCount, bytes } = this.#usage;
    return { entries: Math.max(0, framesMax - frameCount), bytes: Math.max(0, bytesMax - bytes) };
  }

  /** Judges one batch and takes it, or throws what is wrong with it. */
  async add(batch: UpdateBatch): Promise<void> {
    const first = batch.frames[0] as UploadedFrame;
    const judge = this.#copies ? judgeCopyAccess : judgeAccess;
    refuseFault(judge(batch.container, this.#caller.permissions, first.indexRequest));
    const bodiless = this.#copies || this.#probe ? undefined : batch.frames.find(({ redacted }) => redacted);
    if (bodiless !== undefined) throw new Refused([reject(bodiless.indexRequest, 'malformed', 'the body is missing')]);
    const view = this.#viewOf(batch.container);
    const position = judgePosition(batch, view?.frameCount ?? 0);
    if (isFault(position)) throw new Refused([position]);
    const indexContainer = firstIndexOf(batch) ?? 0;
    if (position === 'repeat') await this.#acceptRepetition(batch, indexContainer, view as ContainerView);
    else await this.#append(batch, view);
    this.accepted.push({ indexRequest: first.indexRequest, indexContainer, count: batch.frames.length });
  }

  /** Judges the Self entries and takes them, or throws what is wrong with each at fault. */
  async addSelf(frames: readonly UploadedFrame[]): Promise<void> {
    const { state, permissions } = this.#caller;
    if (state.away !== null) throw new MeshError('account-moved', state.away.to);
    const judged = frames.map((frame) => judgeSelf(frame, state));
    const faults = judged.filter(isFault);
    const pending = judged.filter((each): each is PendingSelf => !isFault(each));
    const spool = state.containers.get(inboundSpool);
    const start = this.#viewOf(inboundSpool);
    if (spool === undefined || start === undefined) throw new MeshError('internal', 'the account has no inbound spool');
    const names = [
      ...new Set([...pending.map(({ uniqueId }) => uniqueId), ...markedNames(pending.map(({ frame }) => frame))]),
    ];
    const keys = await this.#reader.catalogKeys(spool, names);
    const stored = await this.#framesAt(
      spool,
      [...keys.values()].map(({ latestIndex }) => latestIndex),
    );
    const typeOf = (name: string) => typeOfMessage(name, pending, stored.get(keys.get(name)?.latestIndex ?? -1));
    let view = start;
    const taken: UploadedFrame[] = [];
    const write = { frames: [] as ContainerWrite['frames'][number][], keys: [] as ContainerWrite['keys'][number][] };
    const take = async (each: PendingSelf): Promise<void> => {
      const isAdministration = needsAdministrator(each, typeOf);
      if (!isAdministration && !mayWrite(permissions, inboundSpool)) {
        throw new Refused([
          reject(each.frame.indexRequest, 'not-authorised', 'no permission to write the inbound spool'),
        ]);
      }
      await this.#verifySelf(each, isAdministration);
      const key = keys.get(each.uniqueId);
      if (key !== undefined) {
        this.#acceptSelf(each, acceptedBefore(each, stored.get(key.latestIndex)));
        return;
      }
      if (write.keys.some(({ uniqueId }) => uniqueId === each.uniqueId)) throw new Refused([notNew(each)]);
      this.#charge([each.frame], false);
      this.#decide(each.frame, view.frameCount);
      write.keys.push({
        uniqueId: each.uniqueId,
        latestIndex: view.frameCount,
        firstIndex: view.frameCount,
        deleted: false,
      });
      this.#acceptSelf(each, view.frameCount);
      const placed = placeMessage(each, view);
      write.frames.push(placed.write);
      view = placed.view;
      taken.push(each.frame);
    };
    for (const each of pending) faults.push(...(await faultsOf(() => take(each))));
    if (faults.length > 0) throw new Refused(faults);
    if (taken.length === 0) return;
    this.#selfWrite = {
      name: inboundSpool,
      expectedFrameCount: start.frameCount,
      frames: write.frames,
      dareTree: encodeTree(view.dareTree),
      logTree: encodeEdge(view.logTree),
      manifestFrom: view.manifestFrom,
      keys: keysAfterMarks(taken, write.keys, keys),
    };
  }

  /** Everything that the request changes. */
  write(): AccountWrite {
    const writes = this.#judged.map(({ write }) => write);
    return {
      containers: mergeWrites(this.#selfWrite === undefined ? writes : [...writes, this.#selfWrite]),
      ...this.#devices,
      connections: [...this.#connections, ...firstUseOf(this.#caller)],
      publications: [...this.#published],
      erasures: this.#judged.flatMap(erasuresOf),
      contacts: this.#judged.flatMap(({ batch }) => contactChanges(batch.container, batch.frames)),
    };
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
    const keys = await readKeys(this.#reader, stored, batch.frames, this.#changesOf(batch.container));
    const input = { batch, accountUdf: state.accountUdf, view, keys, probe: this.#probe };
    const judged = this.#copies ? judgeCopy(input) : judgeBatch(input);
    if (Array.isArray(judged)) throw new Refused(judged);
    this.#charge(batch.frames, view === undefined);
    if (batch.container === publicationCatalog) await this.#publish(judged, stored, keys);
    const signer = await this.#verifyManifests(judged);
    // What the catalog of an account that stands by says of devices is judged when it comes to be here.
    if (batch.container === deviceCatalog && !this.#copies) await this.#addDevices(judged, signer);
    if (signer !== undefined && this.#isForeign(signer, batch.container)) {
      this.restored.push({ container: batch.container, firstIndex: judged.firstIndex, count: batch.frames.length });
    }
    this.#views.set(batch.container, judged.view);
    this.#judged.push(judged.view.kind === 'spool' ? await this.#withMarks(judged, stored) : judged);
  }

  /** What would be served to anybody is judged, and noted as changed. */
  async #publish(
    { batch, write }: JudgedBatch,
    stored: ContainerState | undefined,
    keys: ReadonlyMap<string, KeyState>,
  ): Promise<void> {
    const faults = judgePublications(batch.container, batch.frames);
    if (faults.length > 0) throw new Refused(faults);
    this.#publicationsAdded += publicationsAdded(keys, write.keys);
    const lastRequestIndex = batch.frames.at(-1)?.indexRequest ?? 0;
    refuseFault(await judgePublicationCount(this.#reader, stored, this.#publicationsAdded, lastRequestIndex));
    for (const { uniqueId } of write.keys) this.#published.add(uniqueId);
  }

  /** Marks that a device writes to a spool of its own count there as they do on the inbound spool. */
  async #withMarks(judged: JudgedBatch, stored: ContainerState | undefined): Promise<JudgedBatch> {
    const { frames } = judged.batch;
    const names = markedNames(frames);
    if (names.length === 0) return judged;
    const found = stored === undefined ? undefined : await this.#reader.catalogKeys(stored, names);
    const known = new Map([...(found ?? []), ...this.#writtenKeys(judged.batch.container)]);
    return { ...judged, write: { ...judged.write, keys: keysAfterMarks(frames, judged.write.keys, known) } };
  }

  #writtenKeys(container: string): [string, ContainerWrite['keys'][number]][] {
    const writes = this.#judged.map(({ write }) => write).filter(({ name }) => name === container);
    return writes.flatMap(({ keys }) => keys.map((key): [string, typeof key] => [key.uniqueId, key]));
  }

  #changesOf(container: string) {
    return this.#judged.filter(({ batch }) => batch.container === container).flatMap(({ changes }) => changes);
  }

  #charge(frames: readonly UploadedFrame[], opens: boolean): void {
    const usage = chargeBatch(this.#usage, this.#quota, frames, opens);
    if (isFault(usage)) throw new Refused([usage]);
    this.#usage = usage;
  }

  /** The key that signed the batch's last manifest; undefined in a legacy container, and in a probe without one. */
  async #verifyManifests(judged: JudgedBatch): Promise<PublicKeyEd448 | undefined> {
    const { state, keySignature } = this.#caller;
    const { container } = judged.batch;
    const writers = { entitled: writersOf(state, container, keySignature), former: this.#formerWriters(container) };
    const signers = await Promise.all(judged.manifests.map((pending) => verifyPending(pending, writers)));
    refuseFault(signers.find(isFault));
    return signers.at(-1) as PublicKeyEd448 | undefined;
  }

  /** Revoked devices: what they wrote before their cut may be brought back, what lies behind it never (S47, S48). */
  #formerWriters(container: string): FormerWriter[] {
    if (container === deviceCatalog) return [];
    return [...this.#caller.state.devices.values()]
      .filter(({ revokedAtMs, permissions }) => revokedAtMs !== null && mayWrite(permissions, container))
      .map((device) => ({
        key: importPublicKey(device.keySignature),
        isBehindCut: (frameIndex) => isBehindCut(device, container, frameIndex),
      }));
  }

  /** Whether a batch bears the hand of another device than the one that brings it. */
  #isForeign(signer: PublicKeyEd448, container: string): boolean {
    if (container === deviceCatalog) return false;
    const { state, device, keySignature } = this.#caller;
    const own = [device?.keySignature, keySignature?.raw, ...accountOnlineKeys(state).map(({ raw }) => raw)];
    return !own.some((raw) => raw !== undefined && sameKey(raw, signer.raw));
  }

  async #addDevices(judged: JudgedBatch, signer: PublicKeyEd448 | undefined): Promise<void> {
    const { batch, manifests } = judged;
    if (this.#probe && (manifests.length === 0 || batch.frames.some(({ redacted }) => redacted))) return;
    const lastRequestIndex = batch.frames.at(-1)?.indexRequest ?? 0;
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
    const devices = await judgeDevices(this.#reader, this.#caller, judged, signer, this.#nowMs);
    if (Array.isArray(devices)) throw new Refused(devices);
    this.#devices = devices;
  }

  async #acceptRepetition(batch: UpdateBatch, indexContainer: number, view: ContainerView): Promise<void> {
    // Nothing in a repetition proves the offline key now, and that is all such a device may come in by.
    if (this.#caller.by === 'recovery') throw this.#caller.refusal ?? new MeshError('not-authenticated');
    const repeated = leavesOf(batch.frames, indexContainer);
    const stored = this.#caller.state.containers.get(batch.container);
    const identities = await readIdentities(this.#reader, stored, indexContainer, batch.frames.length);
    refuseFault(judgeRepetition(repeated, identities, view.legacy));
  }

  async #verifySelf({ frame, kid, manifest }: PendingSelf, isAdministration: boolean): Promise<void> {
    const { state, keySignature } = this.#caller;
    const entitled = isAdministration ? adminKeys(state) : writersOf(state, inboundSpool, keySignature);
    const pending = { indexRequest: frame.indexRequest, kid, manifest, core: frame.core, isAdministration };
    const signer = await verifyPending(pending, { entitled, former: [] });
    if (isFault(signer)) throw new Refused([signer]);
  }

  /** What a message says of devices that ask to be connected; a body that is only offered says nothing yet. */
  #decide(frame: UploadedFrame, frameIndex: number): void {
    if (frame.redacted) return;
    const rows = afterChanges(this.#caller.state.connections, this.#connections);
    const decisions = decisionsOf(frame, frameIndex, rows, this.#nowMs);
    if (isFault(decisions)) throw new Refused([decisions]);
    this.#connections.push(...decisions);
  }

  #acceptSelf({ frame }: PendingSelf, indexContainer: number): void {
    this.accepted.push({ indexRequest: frame.indexRequest, indexContainer, count: 1 });
  }

  async #framesAt(container: ContainerState, indexes: readonly number[]): Promise<ReadonlyMap<number, FrameRow>> {
    const found = new Map<number, FrameRow>();
    for (const index of indexes) {
      const selection = { from: index, to: index, payload: false };
      for await (const chunk of this.#reader.frames(container, selection))
        for (const row of chunk) found.set(index, row);
    }
    return found;
  }
}

function typeOfMessage(
  name: string,
  pending: readonly PendingSelf[],
  stored: FrameRow | undefined,
): string | undefined {
  if (stored === undefined) return pending.find(({ uniqueId }) => uniqueId === name)?.frame.meta.MessageType;
  return openEnvelope({ header: stored.header, payload: null, trailer: null }).contentMetaData?.MessageType;
}

/** The index that a message got when it came first. */
function acceptedBefore(pending: PendingSelf, stored: FrameRow | undefined): number {
  if (stored === undefined || !isSameMessage(pending, stored)) throw new Refused([notNew(pending)]);
  return stored.index;
}

function notNew({ frame }: PendingSelf): EntryFault {
  return reject(frame.indexRequest, 'event-rule', 'the spool holds another message with this UniqueID');
}

function refuseFault(fault: EntryFault | undefined): void {
  if (fault !== undefined) throw new Refused([fault]);
}
