/**
 * What a write means, as pure functions: checks it against the state it was made for, turns it into rows, and gives the
 * state after it. The database checks the same things once more; both must agree.
 */
import { hash } from 'node:crypto';
import { containersPerAccountMax, deletedNameMs, deletedStoresMs } from '@meshd/limits/limits';
import { publicationCatalog } from '@meshd/schema/container-name';
import { afterChanges } from './connection-rows.js';
import type { Statement } from './database.js';
import type { ErasureStep } from './erasure-store.js';
import { StorageError } from './errors.js';
import * as account from './sql/account.js';
import { keyRow } from './sql/catalog-key.js';
import { changeConnection } from './sql/connection-request.js';
import { containerRow, headRow } from './sql/container.js';
import { upsertDevice } from './sql/device.js';
import { eraseStep, insertErasures } from './sql/erasure.js';
import { frameInsertRow } from './sql/frame.js';
import { insertOffer, upsertAllDue, upsertDue } from './sql/hailing.js';
import { changeContact, deleteContacts, messageSeenRow } from './sql/message.js';
import type { Row } from './sql/multi-row.js';
import { deleteOutbox, outboxInsertRow } from './sql/outbox.js';
import { seenRow } from './sql/request-seen.js';
import {
  type AccountState,
  type AccountWrite,
  type ContainerAppend,
  type ContainerState,
  type ContainerWrite,
  type FrameWrite,
  frameBytes,
  keyText,
  type NameState,
} from './store.js';

/** Rows and statements of a write, in the groups in which a transaction executes them. */
export interface WriteRows {
  /** Before anything else: accounts that containers refer to. */
  readonly first: Statement[];
  readonly opened: Row[];
  readonly moved: Row[];
  readonly frames: Row[];
  readonly keys: Row[];
  readonly seen: Row[];
  /** Messages that were taken. */
  readonly messagesSeen: Row[];
  /** Messages that wait to be sent. */
  readonly outbox: Row[];
  readonly last: Statement[];
  /** Octets of the frames and results. */
  bytes: number;
}

/** No rows yet. */
export function noRows(): WriteRows {
  const none = { first: [], opened: [], moved: [], frames: [], keys: [], seen: [], messagesSeen: [] };
  return { ...none, outbox: [], last: [], bytes: 0 };
}

/** What an address stands for: an account, or a name with or without a past. */
export interface AddressState {
  readonly state: AccountState | undefined;
  readonly name: NameState;
}

/** A write that was found sound. */
export interface PreparedWrite {
  readonly rows: WriteRows;
  /** What the address stands for once it is committed. */
  readonly after: AddressState;
}

/** What {@link prepareWrite} needs besides the write. */
export interface WriteContext {
  readonly address: string;
  readonly before: AddressState;
  readonly nowMs: number;
  /** Numbers for new rows. */
  readonly nextNumber: () => number;
}

const invalid = (message: string): never => {
  throw new StorageError('invalid', message);
};

function checkFrame(frame: FrameWrite): void {
  if (frame.payloadDigest.length !== 64 || frame.treeDigest.length !== 64 || frame.leaf.length !== 32) {
    invalid('a digest of the frame has the wrong size');
  }
  if (frame.event !== undefined && frame.uniqueId === undefined) invalid('a frame with an event needs a unique id');
  // computed here too, right before the insert, so that what is stored was whole when it left us
  if (frame.payload !== null && !hash('sha512', frame.payload, 'buffer').equals(frame.payloadDigest)) {
    invalid('the payload does not have its digest');
  }
}

function appendTo(before: ContainerState, append: ContainerAppend): ContainerState {
  const { dareTree, logTree, manifestFrom, frames } = append;
  const frameCount = before.frameCount + frames.length;
  if (manifestFrom < before.manifestFrom || manifestFrom > frameCount) invalid('coverage by manifests goes backwards');
  let bytesUsed = before.bytesUsed;
  for (const frame of frames) bytesUsed += frameBytes(frame);
  return { ...before, frameCount, dareTree, logTree, manifestFrom, bytesUsed };
}

/**
 * Adds the rows of a batch for one container.
 *
 * @returns the container after it
 * @throws StorageError
 */
export function addAppend(
  rows: WriteRows,
  before: ContainerState,
  append: ContainerAppend,
  nowMs: number,
): ContainerState {
  if (before.damaged) throw new StorageError('damaged', `container ${before.name} is read-only`);
  if (append.frames.length === 0) invalid('a batch needs a frame');
  const after = appendTo(before, append);
  for (const [place, frame] of append.frames.entries()) {
    checkFrame(frame);
    rows.frames.push(frameInsertRow(before.id, before.frameCount + place, nowMs, frame));
  }
  const named = new Set<string>();
  for (const key of append.keys) {
    if (named.has(key.uniqueId)) invalid('a batch names each key once');
    named.add(key.uniqueId);
    rows.keys.push(keyRow(before.id, key));
  }
  rows.bytes += after.bytesUsed - before.bytesUsed;
  return after;
}

function addContainer(rows: WriteRows, owner: AccountState, write: ContainerWrite, context: WriteContext) {
  const known = owner.containers.get(write.name);
  if ((known?.frameCount ?? 0) !== write.expectedFrameCount) {
    throw new StorageError('stale', `container ${write.name} has ${known?.frameCount ?? 0} frames`);
  }
  if (known !== undefined) {
    if (write.open !== undefined) invalid(`container ${write.name} exists`);
    const after = addAppend(rows, known, write, context.nowMs);
    rows.moved.push(headRow(known.frameCount, after));
    return after;
  }
  if (write.open === undefined) return invalid(`container ${write.name} does not exist`);
  if (owner.containers.size >= containersPerAccountMax) invalid('too many containers');
  const empty: ContainerState = {
    ...write.open,
    ...{ id: context.nextNumber(), name: write.name, frameCount: 0, bytesUsed: 0, manifestFrom: 0, damaged: false },
    ...{ dareTree: write.dareTree, logTree: write.logTree },
  };
  const after = addAppend(rows, empty, write, context.nowMs);
  rows.opened.push(containerRow(owner.id, after));
  return after;
}

/** The account whose rows follow: the one that exists, or a new one. */
function ownerOf(rows: WriteRows, write: AccountWrite, context: WriteContext): AccountState | undefined {
  const { before, address, nowMs } = context;
  if ([write.create, write.replace, write.remove].filter((part) => part !== undefined).length > 1) {
    invalid('a write creates, replaces or removes');
  }
  if (write.create !== undefined) {
    if (before.state !== undefined) throw new StorageError('stale', 'the account exists');
    if ((before.name.quarantinedUntilMs ?? 0) > nowMs) throw new StorageError('stale', 'the name is in quarantine');
    const id = context.nextNumber();
    rows.first.push(account.insertAccount(id, address, nowMs, write.create));
    return {
      ...write.create,
      ...{ id, address, createdAtMs: nowMs, deviceCatalogBegun: false, bytesUsed: 0, frameCount: 0 },
      ...{ containers: new Map(), devices: new Map(), connections: new Map(), revokedKeys: new Set<string>() },
    };
  }
  const state = before.state;
  if (state !== undefined && write.replace !== undefined) {
    rows.first.push(account.updateAccount(state.id, write.replace));
    return { ...state, ...write.replace };
  }
  return state;
}

function needsOwner(write: AccountWrite): boolean {
  const { replace, remove, containers, devices, revokedKeys, deviceCatalogBegun } = write;
  const { outbox, contacts, connections, offers, publications, erasures, erased } = write;
  const lists = [containers, devices, revokedKeys, outbox, contacts, connections, offers, publications, erasures];
  return [replace, remove, deviceCatalogBegun, erased, ...lists.map((list) => list?.[0])].some(
    (part) => part !== undefined,
  );
}

/** Adds the removing of bodies: what is proved of the container stays as it is, and it takes less room. */
function addErased(rows: WriteRows, before: ContainerState | undefined, step: ErasureStep): ContainerState {
  if (before === undefined) throw new StorageError('stale', `no container ${step.erasure.container}`);
  if (before.damaged) throw new StorageError('damaged', `container ${before.name} is read-only`);
  const bytesFreed = step.frames.reduce((sum, frame) => sum + frame.bytesFreed, 0);
  const after = { ...before, bytesUsed: before.bytesUsed - bytesFreed };
  rows.moved.push(headRow(before.frameCount, after));
  rows.last.push(...eraseStep(before.id, step));
  return after;
}

function addParts(rows: WriteRows, owner: AccountState, write: AccountWrite, context: WriteContext): AccountState {
  let { deviceCatalogBegun, containers, devices, revokedKeys, bytesUsed, frameCount } = owner;
  for (const part of write.containers ?? []) {
    const before = containers.get(part.name);
    const after = addContainer(rows, { ...owner, containers }, part, context);
    containers = new Map(containers).set(part.name, after);
    bytesUsed += after.bytesUsed - (before?.bytesUsed ?? 0);
    frameCount += after.frameCount - (before?.frameCount ?? 0);
  }
  if (write.erased !== undefined) {
    const { container } = write.erased.erasure;
    if (write.containers?.some(({ name }) => name === container)) invalid('bodies are removed by a write of its own');
    const before = containers.get(container);
    const after = addErased(rows, before, write.erased);
    containers = new Map(containers).set(container, after);
    bytesUsed += after.bytesUsed - (before?.bytesUsed ?? 0);
  }
  const erasures = (write.erasures ?? []).flatMap(({ container, frameIndex }) => {
    const id = containers.get(container)?.id;
    return id === undefined ? invalid('an erasure has no container') : [[id, frameIndex]];
  });
  rows.last.push(...insertErasures(erasures));
  for (const device of write.devices ?? []) {
    rows.last.push(upsertDevice(owner.id, device));
    devices = new Map(devices).set(device.deviceUdf, device);
  }
  for (const change of write.connections ?? []) rows.last.push(changeConnection(owner.id, change));
  const connections = afterChanges(owner.connections, write.connections);
  for (const key of write.revokedKeys ?? []) {
    rows.last.push(account.insertRevokedKey(owner.id, key));
    revokedKeys = new Set(revokedKeys).add(keyText(key));
  }
  if (write.deviceCatalogBegun && !deviceCatalogBegun) {
    rows.last.push(account.beginDeviceCatalog(owner.id));
    deviceCatalogBegun = true;
  }
  for (const offer of write.offers ?? []) rows.last.push(insertOffer(owner.id, offer));
  const published = write.publications ?? [];
  if (published.length > 0) rows.last.push(upsertDue(owner.id, published, context.nowMs));
  for (const row of write.outbox ?? []) {
    const container = containers.get(row.container);
    if (container === undefined || row.frameIndex >= container.frameCount) return invalid('an outbox row has no frame');
    rows.outbox.push(outboxInsertRow(context.nextNumber(), container.id, row));
  }
  return { ...owner, containers, devices, connections, revokedKeys, deviceCatalogBegun, bytesUsed, frameCount };
}

/**
 * Turns a write into rows, all but its entries for the service's stores: their index is not known before the turn of the
 * write comes.
 *
 * @throws StorageError `stale` when it was made for another state, `damaged`, or `invalid` when it contradicts itself
 */
export function prepareWrite(write: AccountWrite, context: WriteContext): PreparedWrite {
  const rows = noRows();
  const owner = ownerOf(rows, write, context);
  if (owner === undefined && needsOwner(write)) throw new StorageError('stale', 'no such account');
  let after: AddressState = {
    state: owner === undefined ? undefined : addParts(rows, owner, write, context),
    name: context.before.name,
  };
  if (write.remove && owner !== undefined) {
    // Of an account that has left the name was kept while the notice was.
    const untilMs = owner.status === 'moved' ? context.nowMs : context.nowMs + deletedNameMs;
    if (owner.containers.has(publicationCatalog)) {
      rows.last.push(upsertAllDue(owner.id, publicationCatalog, context.nowMs));
    }
    rows.last.push(account.endAccount(owner.id, context.nowMs, context.nowMs + deletedStoresMs));
    rows.last.push(account.quarantineName(context.address, untilMs));
    after = { state: undefined, name: { quarantinedUntilMs: untilMs } };
  }
  if (write.ended !== undefined && write.ended.length > 0) rows.last.push(deleteOutbox(write.ended));
  for (const message of write.messagesSeen ?? []) rows.messagesSeen.push(messageSeenRow(context.address, message));
  for (const change of write.contacts ?? []) rows.last.push(changeContact(context.address, change));
  if (write.remove) rows.last.push(deleteContacts(context.address));
  if (write.seen !== undefined) {
    rows.seen.push(seenRow(write.seen));
    rows.bytes += write.seen.result.length;
  }
  return { rows, after };
}
