import { constantTimeEqual } from '@meshd/crypto/digest';
import { containersPerAccountMax } from '@meshd/limits/limits';
import type { ContainerStatus } from '@meshd/schema/common';
import { isContainerName } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { forkMessage } from '../reader.js';
import type { Replica } from '../replica.js';
import { requireSuccess, type Session } from '../session.js';

/** A container as the service reports it: number of frames, and the DARE digest over them. */
export interface ServiceHead {
  readonly container: string;
  readonly frameCount: number;
  readonly digest: Uint8Array | undefined;
}

/** A container at the service beside this device's replica of it. */
export interface ContainerState extends ServiceHead {
  /** Authentic frames in the replica. */
  readonly localFrameCount: number;
}

function headOf(status: ContainerStatus): ServiceHead {
  const { Container: container = '', Index: frameCount, Digest: digest } = status;
  if (!isContainerName(container) || frameCount === undefined || frameCount < 0) {
    throw new ClientError('unavailable', 'the service reports a container that cannot be one; tell its operator');
  }
  return { container, frameCount, digest };
}

/** Asks the service for the state of all containers. */
export async function askStatus(session: Session): Promise<ServiceHead[]> {
  const response = await session.call('Status', { DeviceUDF: session.identity.deviceUdf });
  requireSuccess('Status', response);
  const statuses = response.message.ContainerStatus ?? [];
  // Each becomes a file here.
  if (statuses.length > containersPerAccountMax) {
    throw new ClientError(
      'unavailable',
      `the service reports ${statuses.length} containers, which no account can have`,
    );
  }
  return statuses.map(headOf);
}

/**
 * Compares what the service says with what this device has verified.
 * @throws ClientError `rollback` if the service has less, `fork` if it has the same number of other frames (S47)
 */
export function refuseRollback(replica: Replica, head: ServiceHead): void {
  const { container } = replica.reader;
  const trustedSize = Math.max(replica.trusted?.size ?? 0, replica.reader.size);
  if (head.frameCount < trustedSize) {
    throw new ClientError(
      'rollback',
      `the service has ${head.frameCount} frames of ${container} and this device has verified ${trustedSize}: it has lost or hides entries; keep this home as evidence`,
    );
  }
  const { size, apex } = replica.reader;
  if (head.frameCount !== size || size === 0) return;
  const same = head.digest !== undefined && apex !== undefined && constantTimeEqual(head.digest, apex);
  if (!same) throw new ClientError('fork', forkMessage(container));
}

/**
 * The account's containers at the service and in this home.
 * @throws ClientError `rollback` or `fork` where the service contradicts what was verified
 */
export async function accountStatus(device: Device): Promise<ContainerState[]> {
  const heads = await askStatus(device.session);
  const states: ContainerState[] = [];
  for (const head of heads) {
    const replica = await device.replica(head.container);
    refuseRollback(replica, head);
    states.push({ ...head, localFrameCount: replica.reader.size });
  }
  return states;
}
