/** Where a device's messages are that no mark tells of yet: an extension of Status, feature `delivery-1`. */
import { deliveriesAskedMax } from '@meshd/limits/limits';
import type { DeliveryState, Principal } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { Delivery } from '@meshd/schema/common';
import type { StatusRequest, StatusResponse } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import { requireSuccess, type ShardCall } from '../shard-router.js';
import type { TransactionContext } from '../transaction.js';

/**
 * The member `Deliveries` of the answer; nothing for who did not ask or does not know it.
 *
 * @throws MeshError `too-large` for too many messages, and what the shard refuses with
 */
export async function deliveriesOf(
  { Deliveries: messages = [] }: StatusRequest,
  principal: Principal,
  call: ShardCall,
  { shards, understands }: Pick<TransactionContext, 'shards' | 'understands'>,
): Promise<Pick<StatusResponse, 'Deliveries'>> {
  if (messages.length === 0 || !understands('delivery-1')) return {};
  if (messages.length > deliveriesAskedMax) {
    throw new MeshError('too-large', `Deliveries has at most ${deliveriesAskedMax} messages`);
  }
  const asked = { ...call, describePrincipal: false };
  const { outcome, result } = await shards.transact(asked, {
    $case: 'describeDeliveries',
    value: { principal, messages: [...messages] },
  });
  requireSuccess(outcome);
  if (result?.$case !== 'describeDeliveries') throw new Error('the shard answered another request');
  return { Deliveries: result.value.deliveries.map(deliveryOf) };
}

function deliveryOf({ message, account, attempts, nextAttemptMs, expiresMs, reason }: DeliveryState): Delivery {
  return {
    ...{ Message: message, Account: account, Attempts: attempts, Expires: new Date(expiresMs) },
    ...(nextAttemptMs === undefined ? {} : { Next: new Date(nextAttemptMs) }),
    ...(reason === '' ? {} : { Reason: reason }),
  };
}
