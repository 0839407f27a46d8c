/** Status: how long each container is, and what its apex is (draft 7.1, semantics 6.4). */
import type { ContainerStatus as RpcContainerStatus } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ContainerStatus } from '@meshd/schema/common';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { bufferOf, envelopeOfRpc, refuseMembers, successCode, userCall } from './shared.js';

const nothing = new Uint8Array(0);

export const status: TransactionHandler<'Status'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  refuseMembers({ Exchange: message.Exchange, Wait: message.Wait, Known: message.Known });
  const { outcome, result } = await context.shards.transact(call, {
    $case: 'status',
    value: {
      principal,
      deviceUdf: message.DeviceUDF ?? '',
      profileMasterDigest: bufferOf(message.ProfileMasterDigest ?? nothing),
      containers: [...(message.Catalogs ?? []), ...(message.Spools ?? [])],
    },
  });
  requireSuccess(outcome);
  if (result?.$case !== 'status') throw new Error('the shard answered another request');
  const { containers, profileMesh, deviceEntry } = result.value;
  return whole<'Status'>(successCode(outcome), {
    ...(profileMesh === undefined ? {} : { EnvelopedProfileMaster: envelopeOfRpc(profileMesh) }),
    ...(deviceEntry === undefined ? {} : { EnvelopedCatalogEntryDevice: envelopeOfRpc(deviceEntry) }),
    ContainerStatus: containers.map(containerStatus),
  });
};

/** A container's state as clients see it. */
export function containerStatus({ container, index, digest }: RpcContainerStatus): ContainerStatus {
  return { Container: container, Index: index, ...(digest.length === 0 ? {} : { Digest: digest }) };
}
