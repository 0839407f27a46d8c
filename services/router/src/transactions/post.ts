/**
 * Post: messages to others, and entries for one's own inbound spool (draft 9.1, semantics 6.7). Two uses, told apart by who
 * sends: a connected device (here) or another service (`post-foreign.ts`).
 */
import { accountOfConnection } from '@meshd/binding/ticket-hold';
import type { PostEntryResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { canonicalAddress } from '@meshd/schema/address';
import type { EntryResponse } from '@meshd/schema/common';
import type { PostRequest } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import { refusal, type WholeReply, whole } from '../reply.js';
import { refusalOf } from '../shard-router.js';
import type { TransactionContext, TransactionHandler } from '../transaction.js';
import { perMessage, postParts, refuseRepeated } from './post-bounds.js';
import { postForeign } from './post-foreign.js';
import {
  callerOf,
  callOf,
  constraintsData,
  describedOf,
  requireConnected,
  rpcEnvelope,
  successCode,
} from './shared.js';

export const post: TransactionHandler<'Post'> = (message, context) =>
  callerOf(context.authentication) === 'host' ? postForeign(message, context) : postOwn(message, context);

/**
 * A device's own: taken into responsibility by its shard; what became of it, marks say later (semantics 8.2).
 *
 * A Post names no account: it is that of the ticket, or the one that the connection names here.
 */
async function postOwn(message: PostRequest, context: TransactionContext): Promise<WholeReply<'Post'>> {
  const { authentication, domain } = context;
  const { principal, account: ticketed } = requireConnected(authentication);
  const payload = authentication.form === 'profile' ? authentication.connection.payload : null;
  const account = ticketed ?? (payload === null ? undefined : accountOfConnection(payload, domain));
  if (account === undefined) throw new MeshError('not-authenticated', 'the connection names no account here');
  const { accounts, messages, self } = postParts(message);
  const recipients = accounts.map(canonicalAddress);
  refuseRepeated(recipients);
  await context.limits.checkAccount(account, messages.length);
  const call = callOf(account, context);
  const answer = await context.shards.transact(call, {
    $case: 'post',
    value: {
      principal: { account, ...principal },
      accounts: recipients,
      messages: messages.map(rpcEnvelope),
      self: self.map(rpcEnvelope),
    },
  });
  const { outcome, result } = answer;
  const told = context.understands('entry');
  const { entries = [], constraints } = result?.$case === 'post' ? result.value : {};
  const answered = entries.map((entry) => entryResponse(entry, told));
  const members = {
    Entries: told ? answered : perMessage(answered),
    ...(constraints === undefined ? {} : { ConstraintsData: constraintsData(constraints) }),
  };
  const refused = refusalOf(outcome);
  if (refused === undefined) {
    return whole<'Post'>(successCode(outcome), members, { described: describedOf(call, answer) });
  }
  if (entries.length === 0) throw refused;
  // A refusal of entries is an answer like any other: it names those at fault.
  const whatWasWrong = { ...refusal(refused), ...members };
  return { kind: 'whole', code: refused.code, message: whatWasWrong, retryAfterMs: refused.retryAfterMs };
}

function entryResponse(entry: PostEntryResult, told: boolean): EntryResponse {
  const { indexRequest, indexContainer, account, result, statusExtended, constraints } = entry;
  return {
    IndexRequest: indexRequest,
    ...(indexContainer === undefined ? {} : { IndexContainer: indexContainer }),
    Result: result,
    ...(constraints === undefined ? {} : { ConstraintsData: constraintsData(constraints) }),
    // Only those who named `entry` know these members (schema 13).
    ...(account === '' || !told ? {} : { Account: account }),
    ...(statusExtended === 0 || !told ? {} : { StatusExtended: statusExtended }),
  };
}
