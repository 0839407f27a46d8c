import { deviceCatalog } from '@meshd/schema/container-name';
import type { Decide } from '../conflicts.js';
import type { Device } from '../device.js';
import type { Replica, StoredReplica } from '../replica.js';
import {
  type AccountView,
  askStatus,
  judgeView,
  readableOf,
  rollbackError,
  type ServiceHead,
  storedReplicas,
} from './account-status.js';
import { adoptAccountKeys } from './adopt-keys.js';
import { finishBinding } from './bind-profiles.js';
import { type FetchFilter, fetchContainers } from './fetch.js';
import { type Flushed, flushPending } from './flush.js';
import { heal } from './heal.js';
import { type PostedQueue, postMessages } from './post-messages.js';
import { recordingEvidence } from './record-evidence.js';

/** What synchronising one container came to. */
export interface SyncedContainer {
  readonly container: string;
  /** Authentic frames now. */
  readonly frameCount: number;
  /** DARE digest, as the service states it for so many frames. */
  readonly digest: Uint8Array | undefined;
  /** RFC 6962 root of this replica. */
  readonly root: Uint8Array;
  /** Frames fetched by this run. */
  readonly fetchedCount: number;
  /** Frames at the end that no manifest covers yet: not part of the data. */
  readonly uncoveredCount: number;
}

/** How to synchronise. */
export interface SyncOptions {
  /** Bodies that need not be fetched. */
  readonly filter?: FetchFilter | undefined;
  /** What the service has just shown; it is asked anew where this home is ahead of it by now. */
  readonly view?: AccountView | undefined;
}

function synced(replica: Replica, fetchedCount: number, serviceCount: number): SyncedContainer {
  const { container, size, apex, root } = replica.reader;
  return { container, frameCount: size, digest: apex, root, fetchedCount, uncoveredCount: serviceCount - size };
}

/** What is as the service has it, told from the stored head alone. */
function unchanged({ container, size, digest, root }: StoredReplica): SyncedContainer {
  return { container, frameCount: size, digest, root, fetchedCount: 0, uncoveredCount: 0 };
}

/** The device catalog first: it says whose manifests count in all others (S43). */
function inReadingOrder(heads: readonly ServiceHead[]): ServiceHead[] {
  const rank = ({ container }: ServiceHead) => (container === deviceCatalog ? 0 : 1);
  return [...heads].sort((a, b) => rank(a) - rank(b) || (a.container < b.container ? -1 : 1));
}

/** Brings one replica up to date. The device catalog must be up to date before any other. */
export async function syncContainer(device: Device, container: string): Promise<SyncedContainer> {
  return recordingEvidence(device, async () => {
    // How many there are, the answer says.
    const wanted = [{ container, frameCount: Number.POSITIVE_INFINITY }];
    const fetched = (await fetchContainers(device, wanted)).get(container);
    return synced(await device.replica(container), fetched?.fetchedCount ?? 0, fetched?.frameCount ?? 0);
  });
}

/**
 * The replica of a container that was synchronised, fetched anew if its file turns out to be damaged.
 * @throws ClientError `rollback` where the service does not give all that was verified: nothing below that is shown (S47)
 */
export async function readableReplica(device: Device, container: string): Promise<Replica> {
  const replica = await device.replica(container);
  if (replica.reader.size >= (replica.trusted?.size ?? 0)) return replica;
  await syncContainer(device, container);
  const { trusted, reader } = replica;
  if (trusted !== undefined && reader.size < trusted.size) throw rollbackError(container, trusted, reader);
  return replica;
}

/** Asks how things stand, and puts back what the service has lost. */
async function agreedView(
  device: Device,
  stored: readonly StoredReplica[],
  shown: AccountView | undefined,
): Promise<AccountView> {
  const known = stored.filter(({ isWhole }) => isWhole);
  const isAhead = ({ container, size }: StoredReplica) =>
    (shown?.heads.find((head) => head.container === container)?.frameCount ?? 0) < size;
  const view = shown === undefined || stored.some(isAhead) ? await askStatus(device, { known }) : shown;
  const shorter = judgeView(view, readableOf(device, stored));
  if (shorter.length === 0) return view;
  // The service is to sign that it has less before anything follows from it.
  const stated = await askStatus(device, { needsHeads: true });
  const missing = judgeView(stated, readableOf(device, stored));
  return missing.length === 0 ? stated : heal(device, missing, stated);
}

const isCurrent = ({ isWhole, size }: StoredReplica, frameCount: number) => isWhole && size === frameCount;

/**
 * Brings the replicas of all containers (or of those named) up to date: one Status that tells what is known here, then
 * one Download for the device catalog and one for all the others, as far as they differ. When nothing has changed, that is
 * one request, and no replica is opened.
 *
 * @throws ClientError, `rollback` also where a container that this device knows is gone
 */
export async function syncAccount(
  device: Device,
  only?: readonly string[],
  options: SyncOptions = {},
): Promise<SyncedContainer[]> {
  return recordingEvidence(device, async () => {
    const stored = await storedReplicas(device);
    const view = await agreedView(device, stored, options.view);
    const isWanted = ({ container }: ServiceHead) =>
      only === undefined || container === deviceCatalog || only.includes(container);
    const heads = inReadingOrder(view.heads).filter(isWanted);
    // Whoever names a container is going to read it, so its file is looked into as well.
    const isNamed = ({ container }: StoredReplica) => only?.includes(container) === true;
    const currentOf = ({ container, frameCount }: ServiceHead) =>
      stored.find((each) => each.container === container && isCurrent(each, frameCount) && !isNamed(each));
    const differing: ServiceHead[] = [];
    for (const head of heads) {
      if (currentOf(head) !== undefined) continue;
      const { reader, trusted } = await device.replica(head.container);
      const isWhole = reader.size === (trusted?.size ?? 0);
      if (!isWhole || reader.size !== head.frameCount) differing.push(head);
    }
    const isCatalog = ({ container }: ServiceHead) => container === deviceCatalog;
    // The bodies of the device catalog say who may write; none of them can be left out.
    const catalog = await fetchContainers(device, differing.filter(isCatalog));
    if (differing.length > 0) {
      await readableReplica(device, deviceCatalog);
      await adoptAccountKeys(device);
    }
    const others = await fetchContainers(
      device,
      differing.filter((head) => !isCatalog(head)),
      options.filter,
    );
    const results: SyncedContainer[] = [];
    for (const head of heads) {
      const current = currentOf(head);
      const fetched = catalog.get(head.container) ?? others.get(head.container);
      const replica = current === undefined ? await device.replica(head.container) : undefined;
      if (current !== undefined) results.push(unchanged(current));
      if (replica !== undefined) {
        results.push(synced(replica, fetched?.fetchedCount ?? 0, fetched?.frameCount ?? head.frameCount));
      }
    }
    return results;
  });
}

/** What a whole synchronisation came to. */
export interface Synchronised {
  readonly containers: readonly SyncedContainer[];
  /** Of the changes that waited here. */
  readonly flushed: Flushed;
  /** Of the messages that waited here. */
  readonly posted: PostedQueue;
}

/**
 * Brings all replicas up to date and then uploads what was changed, and sends what was written, while there was no connection
 * (semantics 5.1, 8.1).
 *
 * @param decide asked where a deletion stands against a change
 * @throws ClientError
 */
export async function synchronise(
  device: Device,
  options: SyncOptions & { readonly decide?: Decide | undefined } = {},
): Promise<Synchronised> {
  const before = await syncAccount(device, undefined, options);
  await finishBinding(device);
  return recordingEvidence(device, async () => {
    const flushed = await flushPending(device, options.decide);
    const changed = new Set(flushed.placed.map(({ container }) => container));
    const fetchedOf = (name: string) => before.find(({ container }) => container === name)?.fetchedCount ?? 0;
    const after = new Map<string, SyncedContainer>(before.map((each) => [each.container, each]));
    for (const container of changed) {
      const replica = await device.replica(container);
      after.set(container, synced(replica, fetchedOf(container), replica.reader.size));
    }
    const containers = [...after.values()];
    return { containers, flushed, posted: await postMessages(device) };
  });
}
