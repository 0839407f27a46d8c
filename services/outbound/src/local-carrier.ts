/**
 * Carries messages between accounts of this provider: to the shard of the recipient, by the rules and at the times of
 * messages that come from elsewhere, so that what an account takes is not observable (semantics 8.2).
 */
import { outboxLeaseRowsMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import { RpcError } from '@meshd/rpc/errors';
import type { DeliveryResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { parseAddress } from '@meshd/schema/address';
import { groupBy, split } from './arrange.js';
import type { Batch, Carrier, CarryOutcome, LeasedRow, RowResult } from './carrier.js';
import { failureOf } from './outcome.js';
import { envelopeOf, rpcEnvelope } from './rpc-envelopes.js';
import type { Shards } from './shards.js';

/** What {@link localCarrier} needs. */
export interface LocalCarrierOptions {
  readonly shards: Pick<Shards, 'ask' | 'shardOf'>;
  readonly clock: Clock;
}

const senderDomainOf = ({ sender }: LeasedRow): string => parseAddress(sender).domain;

/** A carrier to our own shards. */
export function localCarrier({ shards, clock }: LocalCarrierOptions): Carrier {
  const shardOf = ({ recipient }: LeasedRow): string => shards.shardOf(recipient) ?? '';
  return {
    plan: async (_domain, rows, batchBytesMax) => {
      const chains = groupBy(rows, (row) => `${shardOf(row)} ${senderDomainOf(row)}`);
      const batches = chains.map((chain) => split(chain, outboxLeaseRowsMax, batchBytesMax));
      return { kind: 'plan', chains: batches, refused: new Map() };
    },
    carry: async (_domain, batch, deadlineMs) => {
      const [first] = batch;
      if (first === undefined) throw new TypeError('a batch has rows');
      const messages = batch.map(({ message, recipient }, at) => {
        return { indexRequest: at, message: rpcEnvelope(message), recipients: [recipient] };
      });
      const value = { senderDomain: senderDomainOf(first), hostUdf: '', messages, receipts: true };
      try {
        const answer = await shards.ask(
          shardOf(first),
          { $case: 'deliver', value },
          'deliver',
          Math.max(1, deadlineMs - clock()),
        );
        return { kind: 'answered', results: resultsOf(batch, answer.results) };
      } catch (error) {
        return localFailure(error);
      }
    },
  };
}

/** The receipt is our own shard's, over mutual TLS; the sender's device verifies it like any other. */
function resultsOf(batch: Batch, results: readonly DeliveryResult[]): Map<LeasedRow, RowResult> {
  const found = new Map<LeasedRow, RowResult>();
  for (const { indexRequest, account, result, statusExtended, receipt } of results) {
    const row = batch[indexRequest];
    if (row === undefined || row.recipient !== account) continue;
    found.set(
      row,
      result === 'Accept'
        ? { kind: 'delivered', receipt: receipt && envelopeOf(receipt) }
        : { kind: 'refused', statusExtended, reason: 'by our own shard' },
    );
  }
  return found;
}

/** A shard that does not answer rests like any destination. */
function localFailure(error: unknown): CarryOutcome {
  if (!(error instanceof RpcError)) return failureOf(error);
  const failure = error.code === 'deadline' ? 'timeout' : `shard-${error.code}`;
  return { kind: 'failed', failure, reached: false, retryAfterMs: undefined };
}
