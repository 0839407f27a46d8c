import { downloadEntriesMax, downloadPayloadBytesMax } from '@meshd/limits/limits';
import type { ContainerUpdate } from '@meshd/schema/common';
import { deviceCatalog } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import type { FindWriter } from '../reader.js';
import { Replica } from '../replica.js';
import { requireSuccess } from '../session.js';
import { askStatus, refuseRollback, type ServiceHead } from './account-status.js';

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

/** Fetches one page and makes it part of the replica. @returns what the service said of the container */
async function fetchPage(device: Device, replica: Replica, findWriter: FindWriter): Promise<ServiceHead> {
  const { reader } = replica;
  const { container } = reader;
  const response = await device.session.call('Download', {
    Select: [{ Container: container, IndexMin: reader.nextIndex }],
    ConstraintsPost: { MaxEntries: downloadEntriesMax, BytesMax: downloadPayloadBytesMax },
  });
  requireSuccess(`Download of ${container}`, response);
  const update: ContainerUpdate | undefined = response.message.Updates?.[0];
  if (update?.Container !== container || update.Index === undefined) {
    throw new ClientError(
      'unavailable',
      `the service answers with something else than ${container}; tell its operator`,
    );
  }
  const head = { container, frameCount: update.Index, digest: update.Digest };
  const envelopes = update.Envelopes ?? [];
  if (reader.nextIndex + envelopes.length > head.frameCount) {
    throw new ClientError('fork', `the service gives more frames of ${container} than it says there are`);
  }
  if (envelopes.length === 0 && reader.nextIndex < head.frameCount) {
    throw new ClientError('unavailable', `the service gives no further frames of ${container}; try again later`);
  }
  const accepted = await reader.take(envelopes, findWriter);
  await replica.store(accepted);
  refuseRollback(replica, head);
  return head;
}

/** Brings one replica up to date. The device catalog must be up to date before any other. */
export async function syncContainer(device: Device, container: string): Promise<SyncedContainer> {
  const replica = await device.replica(container);
  const findWriter = await device.writers();
  const { reader } = replica;
  const before = reader.size;
  let head = await fetchPage(device, replica, findWriter);
  while (reader.nextIndex < head.frameCount) {
    device.session.environment.progress(container, reader.nextIndex, head.frameCount);
    head = await fetchPage(device, replica, findWriter);
  }
  return synced(replica, reader.size - before, head.frameCount - reader.size);
}

function synced(replica: Replica, fetchedCount: number, uncoveredCount: number): SyncedContainer {
  const { container, size, apex, root } = replica.reader;
  return { container, frameCount: size, digest: apex, root, fetchedCount, uncoveredCount };
}

/** The device catalog first: it says whose manifests count in all others (S43). */
function inReadingOrder(heads: readonly ServiceHead[]): ServiceHead[] {
  const rank = ({ container }: ServiceHead) => (container === deviceCatalog ? 0 : 1);
  return [...heads].sort((a, b) => rank(a) - rank(b) || (a.container < b.container ? -1 : 1));
}

/**
 * Brings the replicas of all containers (or of those named) up to date: one Status, then Downloads of those that differ.
 * @throws ClientError, `rollback` also where a container that this device knows is gone
 */
export async function syncAccount(device: Device, only?: readonly string[]): Promise<SyncedContainer[]> {
  const heads = inReadingOrder(await askStatus(device.session));
  await refuseMissing(device, heads);
  const wanted = (name: string) => only === undefined || name === deviceCatalog || only.includes(name);
  const results: SyncedContainer[] = [];
  for (const head of heads.filter(({ container }) => wanted(container))) {
    const replica = await device.replica(head.container);
    refuseRollback(replica, head);
    const isCurrent = replica.reader.size === head.frameCount;
    results.push(isCurrent ? synced(replica, 0, 0) : await syncContainer(device, head.container));
  }
  return results;
}

async function refuseMissing(device: Device, heads: readonly ServiceHead[]): Promise<void> {
  for (const name of await Replica.namesIn(device.session.home)) {
    if (heads.some(({ container }) => container === name)) continue;
    throw new ClientError(
      'rollback',
      `the service no longer shows ${name}, which this device has verified: it has lost or hides it; keep this home as evidence`,
    );
  }
}
