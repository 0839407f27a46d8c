/** Upload: appends to the account's own containers, all or nothing (draft 7.3, semantics 6.6). */
import { uploadEntriesMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import type { EntryResult, ContainerUpdate as RpcContainerUpdate } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ContainerUpdate, EntryResponse } from '@meshd/schema/common';
import { understands } from '@meshd/schema/features';
import { MeshError } from '@meshd/schema/status';
import { refusal, whole } from '../reply.js';
import { refusalOf } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { bufferOf, refuseMembers, rpcEnvelope, successCode, userCall } from './shared.js';

export const upload: TransactionHandler<'Upload'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  refuseMembers({ Exchange: message.Exchange, Self: message.Self });
  const updates = message.Updates ?? [];
  checkSize(updates);
  const { outcome, result } = await context.shards.transact(call, {
    $case: 'upload',
    value: { principal, updates: updates.map(rpcUpdate) },
  });
  const results = result?.$case === 'upload' ? result.value.entries : [];
  // A response member that the draft does not know goes to whoever names its feature (schema 13).
  const entries = results.map((each) => entryResponse(each, understands(message.Features, 'entry')));
  const refused = refusalOf(outcome);
  if (refused === undefined) return whole<'Upload'>(successCode(outcome), { Entries: entries });
  if (entries.length === 0) throw refused;
  // A refusal of entries is an answer like any other: it names those at fault.
  const answer = { ...refusal(refused), Entries: entries };
  return { kind: 'whole', code: refused.code, message: answer, retryAfterMs: refused.retryAfterMs };
};

/** Bounds of one request (semantics 10) and what is not built yet: redacted entries, which ask before they send. */
function checkSize(updates: readonly ContainerUpdate[]): void {
  let entryCount = 0;
  let payloadBytes = 0;
  for (const { Container: container, Envelopes: envelopes = [] } of updates) {
    if (container === undefined) throw new MeshError('malformed', 'Container is missing');
    entryCount += envelopes.length;
    for (const { payload } of envelopes) {
      if (payload === null) throw new MeshError('not-implemented', 'redacted entries');
      payloadBytes += payload.length;
    }
  }
  if (entryCount > uploadEntriesMax)
    throw new MeshError('too-large', `an upload has at most ${uploadEntriesMax} entries`);
  if (payloadBytes > uploadPayloadBytesMax) {
    throw new MeshError('too-large', `an upload holds at most ${uploadPayloadBytesMax} octets of payload`);
  }
}

function rpcUpdate({ Container, Index, Digest, Envelopes = [] }: ContainerUpdate): RpcContainerUpdate {
  if (Index !== undefined && Index < 0) throw new MeshError('malformed', 'Index is negative');
  return {
    container: Container ?? '',
    index: Index,
    digest: Digest === undefined ? undefined : bufferOf(Digest),
    envelopes: Envelopes.map(rpcEnvelope),
  };
}

function entryResponse(
  { indexRequest, indexContainer, result, statusExtended }: EntryResult,
  isExtended: boolean,
): EntryResponse {
  return {
    IndexRequest: indexRequest,
    ...(indexContainer === undefined ? {} : { IndexContainer: indexContainer }),
    Result: result,
    ...(isExtended && statusExtended !== 0 ? { StatusExtended: statusExtended } : {}),
  };
}
