/** The outbox over the rpc: rows are leased and settled in this worker's name. */
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { outboxLeaseMs } from '@meshd/limits/limits';
import { settleMsMax } from '@meshd/limits/outbound';
import type { LeasedRow } from './carrier.js';
import type { Outbox } from './lane-turn.js';
import { envelopeOf, rpcOutcome } from './rpc-envelopes.js';
import type { Shards } from './shards.js';

/**
 * What a message takes of a Post, near enough to arrange by: its parts as they are kept, which is a little more than they
 * are in JSON-B. The exact number would cost as much as encoding it.
 */
const bytesAbout = ({ header, payload, trailer }: EnvelopeOctets): number =>
  header.length + (payload?.length ?? 0) + (trailer?.length ?? 0);

/** @param owner name of this worker, different with every start */
export function rpcOutbox(shards: Pick<Shards, 'ask'>, owner: string): Outbox {
  return {
    lease: async ({ shard, domain, lane }, rowsMax, bytesMax) => {
      const value = { owner, domain, lane, rowsMax, bytesMax, leaseMs: outboxLeaseMs };
      const leased = await shards.ask(shard, { $case: 'leaseOutbox', value }, 'leaseOutbox');
      const rows = leased.rows.flatMap(({ id, message, payloadDigest, sender, recipient }): LeasedRow[] => {
        if (message === undefined) return [];
        const octets = envelopeOf(message);
        return [{ id, message: octets, payloadDigest, bytes: bytesAbout(octets), sender, recipient }];
      });
      return { rows, nextAttemptMs: leased.nextAttemptMs };
    },
    settle: async ({ shard, domain, lane }, { rows, results, destination }) => {
      const outcomes = rows.map((row) => rpcOutcome(row, results.get(row)));
      const value = { owner, domain, lane, rows: outcomes, destination };
      const settled = await shards.ask(shard, { $case: 'settleOutbox', value }, 'settleOutbox', settleMsMax);
      return { more: settled.more, nextAttemptMs: settled.nextAttemptMs };
    },
  };
}
