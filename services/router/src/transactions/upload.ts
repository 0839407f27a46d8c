/** Upload: appends to the account's own containers, all or nothing (draft 7.3, semantics 6.6). */

import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { uploadEntriesMax, uploadPayloadBytesMax } from '@meshd/limits/limits';
import type {
  EntryResult,
  ContainerUpdate as RpcContainerUpdate,
  UploadResult,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ContainerUpdate, EntryResponse, Response } from '@meshd/schema/common';
import type { UploadResponse } from '@meshd/schema/protocol';
import { MeshError } from '@meshd/schema/status';
import { refusal, whole } from '../reply.js';
import { refusalOf } from '../shard-router.js';
import type { TransactionHandler } from '../transaction.js';
import { bufferOf, constraintsData, describedOf, envelopeOfRpc, rpcEnvelope, successCode, userCall } from './shared.js';

export const upload: TransactionHandler<'Upload'> = async (message, context) => {
  const { principal, call } = await userCall(message, context);
  const { Updates: updates = [], Self: self = [] } = message;
  checkSize(updates, self);
  const heads = context.understands('heads-1');
  const answer = await context.shards.transact(call, {
    $case: 'upload',
    value: { principal, updates: updates.map(rpcUpdate), self: self.map(rpcEnvelope), heads },
  });
  const { outcome, result } = answer;
  const told = context.understands('entry');
  const members = result?.$case === 'upload' ? membersOf(result.value, told) : {};
  const refused = refusalOf(outcome);
  if (refused === undefined) {
    return whole<'Upload'>(successCode(outcome), members, { described: describedOf(call, answer) });
  }
  if (members.Entries === undefined || members.Entries.length === 0) throw refused;
  // A refusal of entries is an answer like any other: it names those at fault.
  const answered = { ...refusal(refused), ...members };
  return { kind: 'whole', code: refused.code, message: answered, retryAfterMs: refused.retryAfterMs };
};

/** Bounds of one request (semantics 10). Redacted entries only ask; they count as entries. */
function checkSize(updates: readonly ContainerUpdate[], self: readonly EnvelopeOctets[]): void {
  for (const { Container: container } of updates) {
    if (container === undefined) throw new MeshError('malformed', 'Container is missing');
  }
  const envelopes = [...updates.flatMap(({ Envelopes = [] }) => Envelopes), ...self];
  const payloadBytes = envelopes.reduce((bytes, { payload }) => bytes + (payload?.length ?? 0), 0);
  if (envelopes.length > uploadEntriesMax) {
    throw new MeshError('too-large', `an upload has at most ${uploadEntriesMax} entries`);
  }
  if (payloadBytes > uploadPayloadBytesMax) {
    throw new MeshError('too-large', `an upload holds at most ${uploadPayloadBytesMax} octets of payload`);
  }
}

function membersOf({ entries, constraints, heads }: UploadResult, told: boolean): Omit<UploadResponse, keyof Response> {
  return {
    Entries: entries.map((each) => entryResponse(each, told)),
    ...(constraints === undefined ? {} : { ConstraintsData: constraintsData(constraints) }),
    ...(heads === undefined ? {} : { EnvelopedHeads: envelopeOfRpc(heads) }),
  };
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

function entryResponse(entry: EntryResult, told: boolean): EntryResponse {
  const { indexRequest, indexContainer, result, statusExtended, constraints } = entry;
  return {
    IndexRequest: indexRequest,
    ...(indexContainer === undefined ? {} : { IndexContainer: indexContainer }),
    Result: result,
    ...(constraints === undefined ? {} : { ConstraintsData: constraintsData(constraints) }),
    // Only those who named `entry` know this member (schema 13).
    ...(statusExtended === 0 || !told ? {} : { StatusExtended: statusExtended }),
  };
}
