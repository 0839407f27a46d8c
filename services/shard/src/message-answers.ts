import { messageBytesMax } from '@meshd/limits/limits';
import type { DeliverResult, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { MeshError } from '@meshd/schema/status';
import type { RequestIdentity, ShardContext } from './context.js';
import { envelopeOctets, required, rpcEnvelope } from './rpc-messages.js';
import { type DeliveryResult, deliver } from './transactions/deliver.js';
import { extendedOf } from './upload/fault.js';

/*
 * Deliver over the rpc (S91): a router speaks for services whose domain it has verified, the outbound worker for our own
 * senders. Only the latter is told why a message was refused; what a router is told goes to others (S80).
 */

type Deliver = Extract<NonNullable<TransactRequest['transaction']>, { $case: 'deliver' }>['value'];

/** Who asks, and with which request. */
export interface DeliverCaller {
  readonly isRouter: boolean;
  readonly identity: RequestIdentity | undefined;
}

/** Every recipient of the request; all must be this shard's. */
export function recipientsOf({ messages }: Deliver): readonly string[] {
  return messages.flatMap(({ recipients }) => recipients);
}

/** Delivers, and answers in the terms of the rpc. */
export async function answerDeliver(
  context: ShardContext,
  { senderDomain, hostUdf, messages, receipts }: Deliver,
  { isRouter, identity }: DeliverCaller,
): Promise<DeliverResult> {
  if (isRouter === (hostUdf === '')) throw new MeshError('internal', 'a router names the host, and nobody else does');
  if (!isRouter && !context.domains.has(senderDomain)) throw new MeshError('policy', 'the sender is not one of ours');
  const results = await deliver(context, {
    ...{ senderDomain, hostUdf, receipts, identity: isRouter ? identity : undefined },
    messages: messages.map(({ indexRequest, message, recipients }) => {
      return { indexRequest, octets: envelopeOctets(required(message, 'message')), recipients };
    }),
  });
  return { results: results.map((result) => rpcResult(result, isRouter)) };
}

function rpcResult({ indexRequest, account, result, code, receipt, isOffer }: DeliveryResult, isRouter: boolean) {
  return {
    ...{ indexRequest, account, result },
    // Another service is told no reason but that a person its own user knows is elsewhere now (S80).
    statusExtended: code === undefined || (isRouter && code !== 'account-moved') ? 0 : extendedOf(code),
    receipt: receipt === undefined ? undefined : rpcEnvelope(receipt),
    // The same for every account: what an account has room for is nobody's business (S80).
    constraints: isOffer && result === 'Accept' ? { bytesMax: messageBytesMax } : undefined,
  };
}
