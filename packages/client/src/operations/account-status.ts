import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import { keptHeadsMsMax } from '@meshd/limits/client';
import { containersPerAccountMax } from '@meshd/limits/limits';
import type { ContainerStatus } from '@meshd/schema/common';
import { isContainerName } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { mayRead } from '../entitlement.js';
import { ClientError } from '../errors.js';
import { ownPermissions } from '../own-permissions.js';
import { forkMessage, type TrustedHead } from '../reader.js';
import { Replica, type StoredReplica } from '../replica.js';
import { requireSuccess } from '../session.js';
import { compareHeads, type SignedHeads } from '../signed-heads.js';
import { recordingEvidence } from './record-evidence.js';

/** A container as the service reports it: number of frames, and the DARE digest over them. */
export interface ServiceHead {
  readonly container: string;
  readonly frameCount: number;
  readonly digest: Uint8Array | undefined;
}

/** All containers of the account, as the service says. */
export interface AccountView {
  readonly heads: readonly ServiceHead[];
  /** The same under the service's signature, where it signs heads. */
  readonly signed: SignedHeads | undefined;
}

/** A container at the service beside this device's replica of it. */
export interface ContainerState extends ServiceHead {
  /** Authentic frames in the replica. */
  readonly localFrameCount: number;
}

/** How to ask. */
export interface AskOptions {
  /** Containers that need not be reported as long as they are like this. */
  readonly known?: readonly StoredReplica[] | undefined;
  /** Wait so long for one of them to change. */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Have the heads signed anew, also where those that were kept are fresh and nothing has changed. */
  readonly needsHeads?: boolean | undefined;
}

/** Whether the service's kept word is fresh and says just what is known here: then it need not travel again. */
async function hasFreshWord(device: Device, known: readonly StoredReplica[]): Promise<boolean> {
  const kept = await device.heads.latest();
  if (kept === undefined || Math.abs(device.session.environment.nowMs() - kept.timeMs) > keptHeadsMsMax) return false;
  return known.every((each) => {
    const head = kept.heads.get(each.container);
    return head !== undefined && compareHeads(each, head) === 'same';
  });
}

function headOf(status: ContainerStatus): ServiceHead {
  const { Container: container = '', Index: frameCount, Digest: digest } = status;
  if (!isContainerName(container) || frameCount === undefined || frameCount < 0) {
    throw new ClientError('unavailable', 'the service reports a container that cannot be one; tell its operator');
  }
  return { container, frameCount, digest };
}

const statusOf = ({ container, size, digest }: StoredReplica): ContainerStatus => ({
  Container: container,
  Index: size,
  ...(digest === undefined ? {} : { Digest: digest }),
});

const knownHead = ({ container, size, digest }: StoredReplica): ServiceHead => ({
  container,
  frameCount: size,
  digest,
});

/**
 * Asks the service for the state of all containers; those that are as known need not travel. What the answer brings of a
 * newer profile or connection is taken over (semantics 6.4).
 *
 * @throws ClientError, `profile` where that does not hold
 */
export async function askStatus(device: Device, options: AskOptions = {}): Promise<AccountView> {
  const { session } = device;
  const known = (await session.offers('wait')) ? (options.known ?? []) : [];
  const isBrief = options.needsHeads !== true && known.length > 0 && (await hasFreshWord(device, known));
  const request = {
    DeviceUDF: session.identity.deviceUdf,
    // The service then leaves out the profile, which is the largest part of an answer that says "nothing new".
    ProfileMasterDigest: sha512(session.identity.profileMesh.payload ?? new Uint8Array(0)),
    ...(known.length > 0 ? { Known: known.map(statusOf) } : {}),
    ...(options.waitMs === undefined ? {} : { Wait: options.waitMs }),
    // The only words that this request is about; without them the list of the ticket would hold (schema 13).
    ...(isBrief ? { Features: session.moves ? ['wait', 'move'] : ['wait'] } : {}),
  };
  const response = await session.call('Status', request, [], { signal: options.signal });
  requireSuccess('Status', response);
  const { EnvelopedProfileMaster: profileMesh, EnvelopedCatalogEntryDevice: deviceEntry } = response.message;
  await device.renew({ profileMesh, deviceEntry });
  const statuses = response.message.ContainerStatus ?? [];
  // Each becomes a file here.
  if (statuses.length > containersPerAccountMax) {
    throw new ClientError(
      'unavailable',
      `the service reports ${statuses.length} containers, which no account can have`,
    );
  }
  const changed = statuses.map(headOf);
  const unchanged = readableOf(device, known).filter(
    ({ container }) => !changed.some((head) => head.container === container),
  );
  const { EnvelopedHeads: given } = response.message;
  const signed = isBrief && given === undefined ? undefined : await device.heads.judge(given);
  return { heads: [...changed, ...unchanged.map(knownHead)], signed };
}

/**
 * What this home has verified of the containers that this device may read. Of others its administrator may have told it
 * (S47), and the service does not show them: that is no loss.
 */
export async function storedReplicas(device: Device): Promise<StoredReplica[]> {
  return readableOf(device, await Replica.storedIn(device.session.home));
}

/** Those that this device may read as its connection is now: each Status may have brought another one. */
export function readableOf<C extends { readonly container: string }>({ session }: Device, all: readonly C[]): C[] {
  const permissions = ownPermissions(session);
  return all.filter(({ container }) => mayRead(permissions, container));
}

/** What has been verified of a container here. */
interface Verified extends TrustedHead {
  readonly container: string;
  readonly digest: Uint8Array | undefined;
}

/**
 * Compares what the service says with what this device has verified.
 * @returns the containers of which the service has less, no frame of those that are gone: lost, or hidden
 * @throws ClientError `fork` for other frames than were verified (S47)
 */
export function judgeView(view: AccountView, verified: readonly Verified[]): ServiceHead[] {
  const shorter: ServiceHead[] = [];
  for (const known of verified) {
    const { container, size, digest } = known;
    const head = view.heads.find((each) => each.container === container);
    const signed = view.signed?.heads.get(container);
    if (head === undefined || (view.signed !== undefined && signed === undefined)) {
      shorter.push({ container, frameCount: 0, digest: undefined });
      continue;
    }
    const change = signed === undefined ? undefined : compareHeads(known, signed);
    if (change === 'fork' || change === 'other-log') throw fork(known, signed ?? { size: head.frameCount });
    const isOther = head.digest !== undefined && digest !== undefined && !constantTimeEqual(head.digest, digest);
    if (head.frameCount === size && isOther) throw fork(known, { size });
    if (head.frameCount < size || change === 'shorter') shorter.push(head);
  }
  return shorter;
}

function fork(verified: Verified, shown: { readonly size: number }): ClientError {
  const { container } = verified;
  return new ClientError('fork', forkMessage(container, verified), { contradiction: { container, verified, shown } });
}

/** The error for a container of which the service has less than was verified. */
export function rollbackError(container: string, verified: TrustedHead, shown: { readonly size: number }): ClientError {
  const by = verified.seenBy === undefined ? 'this device' : 'the administrator of this device';
  const what =
    shown.size === 0
      ? `the service no longer shows ${container}, which ${by} has verified: it has lost or hides it`
      : `the service has ${shown.size} frames of ${container} and ${by} has verified ${verified.size}: it has lost or hides entries`;
  return new ClientError('rollback', `${what}; keep this home as evidence`, {
    contradiction: { container, verified, shown },
  });
}

/**
 * The account's containers at the service and in this home.
 * @throws ClientError `rollback` or `fork` where the service contradicts what was verified
 */
export async function accountStatus(device: Device): Promise<ContainerState[]> {
  return recordingEvidence(device, async () => {
    const view = await askStatus(device);
    const stored = await storedReplicas(device);
    for (const { container, frameCount } of judgeView(view, stored)) {
      const verified = stored.find((each) => each.container === container);
      if (verified !== undefined) throw rollbackError(container, verified, { size: frameCount });
    }
    const states: ContainerState[] = [];
    for (const head of view.heads) {
      const replica = await device.replica(head.container);
      states.push({ ...head, localFrameCount: replica.reader.size });
    }
    return states;
  });
}
