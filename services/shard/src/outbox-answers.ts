import { withoutContainerInfo } from '@meshd/dare/envelope';
import type {
  PostEntryResult,
  PostResult as RpcPostResult,
  RowOutcome as RpcRowOutcome,
  TransactRequest,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { TransactAnswer } from '@meshd/rpc/shard-server';
import { canonicalDomain } from '@meshd/schema/address';
import type { ErrorCode } from '@meshd/schema/status';
import type { ShardContext } from './context.js';
import { type LeaseResult, leaseOutbox } from './outbox/lease.js';
import { listWork } from './outbox/list-work.js';
import { changeDestination, type DestinationReport, listDestinations, listWaiting } from './outbox/operate.js';
import { peerSpoke } from './outbox/peer-spoke.js';
import { type RowOutcome, settleOutbox } from './outbox/settle.js';
import { envelopeOctets, principalOf, required, rpcEnvelope } from './rpc-messages.js';
import type { WaitingRow } from './storage/outbox-store.js';
import { describeDeliveries } from './transactions/describe-deliveries.js';
import type { PostAnswered, PostEntry } from './transactions/post.js';
import { type EntryFault, extendedOf } from './upload/fault.js';

/*
 * The outbox over the rpc: what workers, routers and operators ask, apart from Post, in the terms of `outbox/` and back.
 */

type Transaction = NonNullable<TransactRequest['transaction']>;

/**
 * Answers a transaction about the outbox; undefined for any other.
 *
 * @throws MeshError, StorageError
 */
export async function answerOutbox(
  context: ShardContext,
  transaction: Transaction,
): Promise<{ readonly result: TransactAnswer['result'] } | undefined> {
  switch (transaction.$case) {
    case 'leaseOutbox':
      return { result: { $case: 'leaseOutbox', value: rpcLease(await leaseOutbox(context, transaction.value)) } };
    case 'settleOutbox': {
      const { owner, domain, lane, rows, destination } = transaction.value;
      const outcomes = rows.map(({ id, outcome }) => ({ id, outcome: outcomeOf(outcome) }));
      const request = { owner, domain, lane, rows: outcomes, destination: destination && attemptOf(destination) };
      return { result: { $case: 'settleOutbox', value: await settleOutbox(context, request) } };
    }
    case 'listWork': {
      const { afterDomain, afterLane, lanesMax } = transaction.value;
      const { lanes, more } = await listWork(context, { domain: afterDomain, lane: afterLane }, lanesMax);
      const value = { lanes: lanes.map(({ domain, lane, dueMs }) => ({ domain, lane, dueMs })), more };
      return { result: { $case: 'listWork', value } };
    }
    case 'peerSpoke':
      await peerSpoke(context, canonicalDomain(transaction.value.domain));
      return { result: undefined };
    case 'listDestinations': {
      const { domain, afterDomain: after, destinationsMax: max } = transaction.value;
      const choice = domain === '' ? { after, max } : { domain: canonicalDomain(domain) };
      const { destinations, more } = await listDestinations(context, choice);
      return { result: { $case: 'listDestinations', value: { destinations: destinations.map(rpcDestination), more } } };
    }
    case 'listWaiting': {
      const { domain, afterId, messagesMax } = transaction.value;
      const { messages, more } = await listWaiting(context, canonicalDomain(domain), afterId, messagesMax);
      return { result: { $case: 'listWaiting', value: { messages: messages.map(rpcWaiting), more } } };
    }
    case 'changeDestination': {
      const { domain, action, all } = transaction.value;
      const choice = all && domain === '' ? 'all' : { domain: canonicalDomain(domain) };
      const rows = await changeDestination(context, action, choice);
      return { result: { $case: 'changeDestination', value: { rows } } };
    }
    case 'describeDeliveries': {
      const { principal, messages } = transaction.value;
      const deliveries = await describeDeliveries(context, { principal: principalOf(principal), messages });
      return { result: { $case: 'describeDeliveries', value: { deliveries: [...deliveries] } } };
    }
    default:
      return undefined;
  }
}

function rpcLease({ rows, more, nextAttemptMs }: LeaseResult) {
  return {
    rows: rows.map((row) => ({
      ...{ id: row.id, sender: row.sender, recipient: row.recipient, attempts: row.attempts },
      ...{ queuedMs: row.queuedAtMs, expiresMs: row.expiresAtMs },
      // Where it lies in our spool is nobody else's business.
      message: rpcEnvelope(withoutContainerInfo(row.frame)),
      payloadDigest: row.payloadDigest,
    })),
    ...{ more, nextAttemptMs },
  };
}

function outcomeOf(given: RpcRowOutcome['outcome']): RowOutcome {
  const outcome = required(given, 'outcome of a row');
  switch (outcome.$case) {
    case 'delivered': {
      const { receipt } = outcome.value;
      return { kind: 'delivered', receipt: receipt === undefined ? undefined : envelopeOctets(receipt) };
    }
    case 'refused':
      return { kind: 'refused', statusExtended: outcome.value.statusExtended };
    case 'failed':
      return { kind: 'failed', reason: outcome.value.reason };
    case 'released':
      return { kind: 'released' };
  }
}

function attemptOf(outcome: { reached: boolean; failure: string; retryAfterMs?: number | undefined }) {
  const { reached, failure, retryAfterMs } = outcome;
  return { reached, failure, retryAfterMs };
}

function rpcDestination({ domain, word, state, rows, leased, oldestQueuedMs, rowsByAge }: DestinationReport) {
  const { failures, lastFailure, lastSuccessMs, nextAttemptMs } = state;
  return {
    ...{ domain, state: word, failures, lastFailure, lastSuccessMs, nextAttemptMs },
    ...{ rows, leased, oldestQueuedMs, rowsByAge: [...rowsByAge] },
  };
}

function rpcWaiting({ id, messageId, sender, recipient, attempts, lastFailure, leased, ...row }: WaitingRow) {
  const { queuedAtMs: queuedMs, expiresAtMs: expiresMs } = row;
  return { id, messageId, sender, recipient, queuedMs, expiresMs, attempts, lastFailure, leased };
}

/** An answer to Post. */
export function rpcPostResult({ entries, constraints }: PostAnswered): RpcPostResult {
  return { entries: entries.map(rpcPostEntry), constraints };
}

/** Self entries at fault. */
export function refusedPost(faults: readonly EntryFault[]): RpcPostResult {
  return {
    entries: faults.map(({ indexRequest, code }) => rpcPostEntry({ indexRequest, account: '', code })),
    constraints: undefined,
  };
}

function rpcPostEntry({ indexRequest, account, code, indexContainer, constraints }: PostEntry): PostEntryResult {
  const result = code === undefined ? 'Accept' : 'Reject';
  return { indexRequest, account, indexContainer, result, statusExtended: extendedOfCode(code), constraints };
}

function extendedOfCode(code: ErrorCode | undefined): number {
  return code === undefined ? 0 : extendedOf(code);
}
