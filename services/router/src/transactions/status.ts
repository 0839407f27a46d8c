/** Status: how long each container is, and what its apex is; at once or when that changes (draft 7.1, semantics 6.4). */
import { statusWaitMsMax } from '@meshd/limits/limits';
import type { ContainerStatus as RpcContainerStatus } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ContainerStatus } from '@meshd/schema/common';
import type { StatusRequest } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { deliveriesOf } from './deliveries.js';
import { bufferOf, describedOf, envelopeOfRpc, successCode, userCall } from './shared.js';

const nothing = new Uint8Array(0);

export const status: TransactionHandler<'Status'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  const waitMs = waitMsOf(message);
  // Whoever waits may leave meanwhile: then the shard need not wait on (S83).
  const waiting = waitMs === undefined ? call : { ...call, signal: context.gone() };
  const answer = await context.shards.transact(waiting, {
    $case: 'status',
    value: {
      principal,
      deviceUdf: message.DeviceUDF ?? '',
      profileMasterDigest: bufferOf(message.ProfileMasterDigest ?? nothing),
      containers: [...(message.Catalogs ?? []), ...(message.Spools ?? [])],
      known: (message.Known ?? []).map(rpcContainerStatus),
      waitMs,
      heads: context.understands('heads-1'),
    },
  });
  const { outcome, result } = answer;
  requireSuccess(outcome);
  if (result?.$case !== 'status') throw new Error('the shard answered another request');
  const { containers, profileMesh, deviceEntry, heads } = result.value;
  return whole<'Status'>(
    successCode(outcome),
    {
      ...(profileMesh === undefined ? {} : { EnvelopedProfileMaster: envelopeOfRpc(profileMesh) }),
      ...(deviceEntry === undefined ? {} : { EnvelopedCatalogEntryDevice: envelopeOfRpc(deviceEntry) }),
      ContainerStatus: containers.map(containerStatus),
      ...(heads === undefined ? {} : { EnvelopedHeads: envelopeOfRpc(heads) }),
      ...(await deliveriesOf(message, principal, call, context)),
    },
    { described: describedOf(call, answer) },
  );
};

/** How long to wait for a change; undefined to answer at once. Longer than the longest is cut without a word. */
function waitMsOf({ Wait: waitMs }: StatusRequest): number | undefined {
  if (waitMs === undefined || waitMs === 0) return undefined;
  if (waitMs < 0) throw new MeshError('malformed', 'Wait is negative');
  return Math.min(waitMs, statusWaitMsMax);
}

/** A container's state as a client knows it. */
function rpcContainerStatus({ Container: container, Index: index, Digest }: ContainerStatus): RpcContainerStatus {
  if (container === undefined) throw new MeshError('malformed', 'Container is missing');
  if (index === undefined || index < 0) throw new MeshError('malformed', 'Index is missing or negative');
  return { container, index, digest: bufferOf(Digest ?? nothing) };
}

/** A container's state as clients see it. */
export function containerStatus({ container, index, digest }: RpcContainerStatus): ContainerStatus {
  return { Container: container, Index: index, ...(digest.length === 0 ? {} : { Digest: digest }) };
}
