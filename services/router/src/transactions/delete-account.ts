/** DeleteAccount: ends the registration (draft 6, semantics 6.3). */
import { canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { requestEnvelope, successCode, userCall } from './shared.js';

/** The shard verifies the request's signatures itself, the administrator's among them (S24, S25). */
export const deleteAccount: TransactionHandler<'DeleteAccount'> = async (message, context) => {
  const { call } = await userCall(message, context);
  // What is no address is not carried to a shard that would tell devices of it.
  if (message.MovedTo !== undefined) canonicalAddress(message.MovedTo);
  // Administration needs signatures made for this act; under a ticket there are none (S25).
  if (context.authentication.form === 'ticket') throw new MeshError('administrator-required', 'under a ticket');
  const { outcome } = await context.shards.transact(call, {
    $case: 'deleteAccount',
    value: { account: call.account, request: requestEnvelope(context) },
  });
  requireSuccess(outcome);
  return whole<'DeleteAccount'>(successCode(outcome), {});
};
