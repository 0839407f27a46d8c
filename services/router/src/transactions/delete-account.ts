/** DeleteAccount: ends the registration (draft 6, semantics 6.3). */
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { refuseMembers, requestEnvelope, successCode, userCall } from './shared.js';

/** The shard verifies the request's signatures itself, the administrator's among them (S24, S25). */
export const deleteAccount: TransactionHandler<'DeleteAccount'> = async (message, context) => {
  const { call } = await userCall(message, context);
  refuseMembers({ Exchange: message.Exchange, MovedTo: message.MovedTo });
  const { outcome } = await context.shards.transact(call, {
    $case: 'deleteAccount',
    value: { account: call.account, request: requestEnvelope(context) },
  });
  requireSuccess(outcome);
  return whole<'DeleteAccount'>(successCode(outcome), {});
};
