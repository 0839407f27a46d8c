/** CreateAccount: binds a Mesh account to an address of this service (draft 6, semantics 6.2). */
import type { Authentication } from '@meshd/binding/request-authenticate';
import { AddressError, canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { callerOf, callOf, refuseMembers, requestEnvelope, successCode } from './shared.js';

/**
 * The shard verifies all signatures again and decides (S24); here it is only found out which shard that is.
 */
export const createAccount: TransactionHandler<'CreateAccount'> = async (message, context) => {
  refuseMembers({ Invite: message.Invite });
  requireMesh(context.authentication);
  if (message.ServiceID === undefined) throw new MeshError('malformed', 'ServiceID is missing');
  if (message.SignedAssertionAccount === undefined)
    throw new MeshError('malformed', 'SignedAssertionAccount is missing');
  const account = accountOf(message.ServiceID);
  const { outcome, result } = await context.shards.transact(callOf(account, context), {
    $case: 'createAccount',
    value: { account, request: requestEnvelope(context) },
  });
  requireSuccess(outcome);
  const { reason = '', url = '' } = result?.$case === 'createAccount' ? result.value : {};
  return whole<'CreateAccount'>(successCode(outcome), {
    ...(reason === '' ? {} : { Reason: reason }),
    ...(url === '' ? {} : { URL: url }),
  });
};

/** Only a key of the Mesh itself makes an account (semantics 4.1): neither a connection nor a ticket stands for one. */
function requireMesh(authentication: Authentication): void {
  if (authentication.form === 'mesh') return;
  const caller = callerOf(authentication);
  if (caller === 'host') throw new MeshError('policy', 'not for hosts');
  throw new MeshError(caller === 'connected' ? 'not-authorised' : 'not-authenticated', 'a key of the Mesh is needed');
}

/** A name that cannot be is refused as a name, not as a malformed request (semantics 4). */
function accountOf(text: string): string {
  try {
    return canonicalAddress(text);
  } catch (error) {
    if (error instanceof AddressError) throw new MeshError('account-name', error.detail, { cause: error });
    throw error;
  }
}
