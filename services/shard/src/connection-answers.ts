import type {
  CompleteResult as RpcCompleteResult,
  AskingDevice as RpcDevice,
  TransactRequest,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { TransactAnswer } from '@meshd/rpc/shard-server';
import type { ShardContext } from './context.js';
import { type Ended, succeeded } from './outcome.js';
import { envelopeOctets, identityOf, optionalEnvelope, principalOf, required, rpcEnvelope } from './rpc-messages.js';
import { type CompleteResult, complete, completeConnected } from './transactions/complete.js';
import { type AskingDevice, connect } from './transactions/connect.js';

/* Connect and Complete over the rpc. */

type Transaction = NonNullable<TransactRequest['transaction']>;
type ConnectionTransaction = Extract<Transaction, { $case: 'connect' | 'complete' }>;

/** Answers either. */
export async function answerConnection(
  context: ShardContext,
  transaction: ConnectionTransaction,
  request: TransactRequest,
  mapVersion: number,
): Promise<{ readonly ended: Ended; readonly result: TransactAnswer['result'] }> {
  if (transaction.$case === 'connect') {
    const device = deviceOf(transaction.value.device);
    const message = envelopeOctets(required(transaction.value.message, 'message'));
    const told = await connect(context, { device, message, identity: identityOf(request.identity) });
    const value = {
      acknowledgement: rpcEnvelope(told.acknowledgement),
      profileMesh: rpcEnvelope(told.profileMesh),
      profileAccount: rpcEnvelope(told.profileAccount),
    };
    return { ended: succeeded('success', mapVersion), result: { $case: 'connect', value } };
  }
  const told = await completeOf(context, transaction.value);
  const ended = succeeded(told.status === 201 ? 'success' : 'connection-pending', mapVersion);
  return { ended, result: { $case: 'complete', value: rpcComplete(told) } };
}

function completeOf(
  context: ShardContext,
  { device, principal, deviceUdf, reveal }: Extract<Transaction, { $case: 'complete' }>['value'],
): Promise<CompleteResult> {
  if (principal !== undefined) return completeConnected(context, principalOf(principal), deviceUdf);
  return complete(context, { device: deviceOf(device), deviceUdf, reveal });
}

/** The account that decides which shard is asked. */
export function accountOfConnection(transaction: ConnectionTransaction): string {
  const { device } = transaction.value;
  if (device !== undefined) return device.account;
  const principal = transaction.$case === 'complete' ? transaction.value.principal : undefined;
  return required(principal, 'device').account;
}

function deviceOf(device: RpcDevice | undefined): AskingDevice {
  return required(device, 'device');
}

function rpcComplete({ entry, profileMesh, containers = [], challenge }: CompleteResult): RpcCompleteResult {
  return {
    entry: optionalEnvelope(entry),
    profileMesh: optionalEnvelope(profileMesh),
    containers: [...containers],
    challenge: optionalEnvelope(challenge),
  } as RpcCompleteResult;
}
