/** Envelopes and outcomes as the rpc to shards carries them: received octets, nothing decoded. */
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { Envelope, RowOutcome } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { LeasedRow, RowResult } from './carrier.js';

const bufferOf = (octets: Uint8Array): Buffer => Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);

/** For a shard. */
export function rpcEnvelope({ header, payload, trailer }: EnvelopeOctets): Envelope {
  return {
    header: bufferOf(header),
    payload: payload === null ? undefined : bufferOf(payload),
    trailer: trailer === null ? undefined : bufferOf(trailer),
  };
}

/** From a shard. */
export function envelopeOf({ header, payload, trailer }: Envelope): EnvelopeOctets {
  return { header, payload: payload ?? null, trailer: trailer ?? null };
}

/** What became of a row; nothing: it was not tried. */
export function rpcOutcome({ id }: LeasedRow, result: RowResult | undefined): RowOutcome {
  switch (result?.kind) {
    case undefined:
      return { id, outcome: { $case: 'released', value: {} } };
    case 'delivered': {
      const receipt = result.receipt && rpcEnvelope(result.receipt);
      return { id, outcome: { $case: 'delivered', value: { receipt } } };
    }
    case 'refused': {
      const { statusExtended, reason } = result;
      return { id, outcome: { $case: 'refused', value: { statusExtended, reason } } };
    }
    case 'failed':
      return { id, outcome: { $case: 'failed', value: { reason: result.reason } } };
  }
}
