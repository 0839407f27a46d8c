/** Hello: who the service is and what it can do (draft 5, semantics 6.1). */

import { accountOfConnection } from '@meshd/binding/ticket-hold';
import {
  accountNameBytesMax,
  accountNameBytesMin,
  messageBytesMax,
  postMessagesMax,
  uploadEntriesMax,
  uploadPayloadBytesMax,
} from '@meshd/limits/limits';
import { invalidLocalCharacters } from '@meshd/schema/address';
import type { Version } from '@meshd/schema/common';
import { advertisedFeatures, mediaTypeJson, mediaTypeJsonB, protocolVersion } from '@meshd/schema/features';
import { MeshError } from '@meshd/schema/status';
import { whole } from '../reply.js';
import { requireSuccess } from '../shard-router.js';
import type { Described } from '../ticket-desk.js';
import type { TransactionContext, TransactionHandler } from '../transaction.js';
import { callOf, describedOf, requireConnected } from './shared.js';

const draftVersion: Version = { ...protocolVersion, Encodings: [{ ID: [mediaTypeJson] }, { ID: [mediaTypeJsonB] }] };

/**
 * Answers anybody. A bare Hello gets what the draft knows and no extension member: what is pinned must be signed
 * (S23, schema 13).
 */
export const hello: TransactionHandler<'Hello'> = async (_message, context) => {
  const { received, host } = context;
  const described = context.describePrincipal ? await authenticate(context) : undefined;
  const extensions = received.naked ? {} : { EnvelopedConnectionHost: host.connectionHost };
  const members = {
    Version: received.naked ? draftVersion : { ...draftVersion, Features: [...advertisedFeatures] },
    ConstraintsUpdate: { MaxEntries: uploadEntriesMax, BytesMax: uploadPayloadBytesMax },
    ConstraintsPost: { MaxEntries: postMessagesMax, BytesMax: messageBytesMax },
    PolicyAccount: {
      Minimum: accountNameBytesMin,
      Maximum: accountNameBytesMax,
      InvalidCharacters: invalidLocalCharacters,
    },
    EnvelopedProfileService: host.profileService,
    EnvelopedProfileHost: host.profileHost,
    ...extensions,
  };
  return whole<'Hello'>('success', members, { described });
};

/**
 * A Hello as null transaction that brings a ticket: only the shard knows whether the device is one of its account. Which
 * account that is, the connection says, or the ticket that is renewed.
 */
async function authenticate(context: TransactionContext): Promise<Described | undefined> {
  // Whose host it is, the pins say; without one there is no ticket, and the host signs until there is.
  if (context.authentication.form === 'host')
    return context.peers.describe(context.authentication, callOf('', context));
  const { authentication, domain } = context;
  const { principal, account: ticketed } = requireConnected(authentication);
  const payload = authentication.form === 'profile' ? authentication.connection.payload : null;
  const account = ticketed ?? (payload === null ? undefined : accountOfConnection(payload, domain));
  if (account === undefined) throw new MeshError('not-authenticated', 'the connection names no account here');
  const call = callOf(account, context);
  const answer = await context.shards.transact(call, {
    $case: 'authenticate',
    value: { principal: { account, ...principal } },
  });
  requireSuccess(answer.outcome);
  return describedOf(call, answer);
}
