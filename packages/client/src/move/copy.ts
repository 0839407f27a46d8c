import { constantTimeEqual } from '@meshd/crypto/digest';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import { pageBytes } from '@meshd/limits/client';
import { uploadEntriesMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { appendFrame, noTrees } from '../frame.js';
import { completeFrames } from '../operations/download.js';
import { syncAccount } from '../operations/sync.js';
import { Replica } from '../replica.js';
import { requireSuccess, type Session } from '../session.js';
import { verifyHeads } from '../signed-heads.js';

/** A store that was copied. */
export interface CopiedStore {
  readonly container: string;
  readonly frameCount: number;
  /** DARE digest over all of them, the same at both services. */
  readonly digest: Uint8Array | undefined;
  /** Frames that went there now. */
  readonly copiedCount: number;
}

/** A store as a service states it. */
interface StatedStore {
  readonly size: number;
  readonly digest: Uint8Array | undefined;
}

/**
 * Brings all stores of the account to another service where it stands by: what this device has verified of them, frame by frame
 * as they are, behind what is there already. A page at a time is in memory. Then both are compared.
 *
 * @param source device at the service where the account is; its stores are verified as ever (S43, S45, S47)
 * @throws ClientError `copy` where the other service has something else, or says so afterwards; `rollback` and `fork` where
 *   the first one does not give what was verified before; `refused`
 */
export async function copyStores(source: Device, target: Session): Promise<CopiedStore[]> {
  await syncAccount(source);
  const stated = await storesAt(target);
  const copied: CopiedStore[] = [];
  for (const container of await storeNames(source)) {
    const replica = await source.replica(container);
    const { size, apex: digest } = replica.reader;
    await completeFrames(source, replica, 0, size - 1);
    const there = stated.get(container)?.size ?? 0;
    await requireBeginning(replica, stated.get(container), target);
    await sendFrames(source, replica, target, there);
    copied.push({ container, frameCount: size, digest, copiedCount: size - there });
  }
  await requireSameStores(source, target);
  return copied;
}

/** The device catalog first: the other service reads in it who is who. */
async function storeNames(source: Device): Promise<string[]> {
  const names = await Replica.namesIn(source.session.home);
  const rank = (name: string) => (name === deviceCatalog ? 0 : 1);
  return names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** What a service says of each store: in its answer, and under its host's signature where it signs heads (S45). */
async function storesAt(target: Session): Promise<ReadonlyMap<string, StatedStore & { readonly root?: Uint8Array }>> {
  const response = await target.call('Status', { DeviceUDF: target.identity.deviceUdf });
  requireSuccess('Status', response);
  const { ContainerStatus: statuses = [], EnvelopedHeads: octets } = response.message;
  const { accountUdf } = target.identity;
  const isSigned = await target.offers('heads-1');
  if (isSigned && octets === undefined) {
    throw new ClientError('downgrade', `${target.domain} signs heads, and left them out of its answer: do not go on`);
  }
  const signed =
    octets === undefined
      ? undefined
      : await verifyHeads(octets, await target.serviceProfile(), { accountUdf, domain: target.domain });
  const stores = new Map<string, StatedStore & { readonly root?: Uint8Array }>();
  for (const { Container: container = '', Index: size = 0, Digest: digest } of statuses) {
    const head = signed?.heads.get(container);
    if (signed !== undefined && head?.size !== size) {
      throw new ClientError('copy', `${target.domain} says one thing of ${container} and signs another: do not go on`);
    }
    stores.set(container, { size, digest, ...(head === undefined ? {} : { root: head.root }) });
  }
  return stores;
}

/** What is there already must be the beginning of what is here: the rest is put behind it. */
async function requireBeginning(replica: Replica, stated: StatedStore | undefined, { domain }: Session): Promise<void> {
  const { container, size } = replica.reader;
  const there = stated?.size ?? 0;
  const other = (what: string) =>
    new ClientError(
      'copy',
      `${domain} has ${what} of ${container} than the account: nothing was switched; use another service`,
    );
  if (there > size) throw other('more');
  if (there === 0) return;
  let trees = noTrees;
  for (let at = 0; at < there; at += 1) trees = appendFrame(trees, await replica.envelope(at)).trees;
  if (!isSame(stated?.digest, apex(trees.tree))) throw other('other frames');
}

async function sendFrames(source: Device, replica: Replica, target: Session, from: number): Promise<void> {
  const { environment } = source.session;
  const { container, size } = replica.reader;
  if (from >= size) return;
  const { ConstraintsUpdate: heard } = (await target.hello()).message;
  const entriesMax = Math.max(1, Math.min(uploadEntriesMax, heard?.MaxEntries ?? uploadEntriesMax));
  const bytesMax = Math.min(pageBytes, heard?.BytesMax ?? pageBytes);
  for (let at = from; at < size; ) {
    const envelopes: EnvelopeOctets[] = [];
    for (let bytes = 0; at + envelopes.length < size && envelopes.length < entriesMax; ) {
      const octets = await replica.envelope(at + envelopes.length);
      bytes += (octets.payload?.length ?? 0) + octets.header.length;
      if (envelopes.length > 0 && bytes > bytesMax) break;
      envelopes.push(octets);
    }
    const update = { Container: container, Index: at, Envelopes: envelopes };
    const response = await target.call('Upload', { Updates: [update] });
    requireSuccess(`to take ${container}`, response);
    at += envelopes.length;
    await showProgress(environment, `copying ${container}`, at, size);
  }
}

/**
 * Compares what the other service states of every store with what this device has verified.
 *
 * @param options `mayHaveGrown`: other devices may be writing there already
 * @throws ClientError `copy`
 */
export async function requireSameStores(
  source: Device,
  target: Session,
  { mayHaveGrown = false }: { readonly mayHaveGrown?: boolean } = {},
): Promise<void> {
  const stated = await storesAt(target);
  for (const container of await storeNames(source)) {
    const { size, apex: digest, head } = (await source.replica(container)).reader;
    const there = stated.get(container);
    if (mayHaveGrown && (there?.size ?? 0) > size) continue;
    const problem =
      there === undefined || there.size < size
        ? `${target.domain} has ${there?.size ?? 0} of the ${size} frames of ${container}`
        : there.size > size ||
            !isSame(there.digest, digest) ||
            (there.root !== undefined && !isSame(there.root, head?.root))
          ? `${target.domain} has other frames of ${container} than were copied`
          : undefined;
    if (problem === undefined) continue;
    const advice =
      'the account stays where it was; take it back with: mesh account move --undo, and use another service';
    throw new ClientError('copy', `${problem}: ${advice}`);
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && constantTimeEqual(one, other);
}
