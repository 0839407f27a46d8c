import type { Counter, Histogram, Metrics } from '@meshd/telemetry/metrics';
import type { GroupReport } from './storage/coalescer.js';

/** The figures of a shard. */
export interface ShardFigures {
  /** Requests by transaction and code of the answer; `success` and `updated` are codes too. */
  readonly requests: Counter<'transaction' | 'code'>;
  /** From the rpc to the answer, streams to their end. */
  readonly seconds: Histogram<'transaction'>;
  /** Entries at fault in refused uploads, by rule. */
  readonly entryFaults: Counter<'code'>;
  /** Messages that came for recipients here, by what was decided. */
  readonly delivered: Counter<'result'>;
  /** Messages posted, for each recipient one, and Self entries, by what was answered. */
  readonly posted: Counter<'code'>;
  /** Frames stored by uploads. */
  readonly framesStored: Counter<never>;
}

/** Defines them. */
export function defineShardFigures(
  metrics: Metrics,
  inFlightCount: () => number,
  waitCount: () => number = () => 0,
): ShardFigures {
  metrics.gauge('shard_status_waits', 'Requests that wait for a change', [], (gauge) => gauge.set(waitCount()));
  metrics.gauge('shard_requests_in_flight', 'Requests in work', [], (gauge) => gauge.set(inFlightCount()));
  return {
    requests: metrics.counter('shard_requests_total', 'Requests answered', ['transaction', 'code']),
    seconds: metrics.histogram('shard_request_seconds', 'Time of a request', ['transaction']),
    entryFaults: metrics.counter('shard_entry_faults_total', 'Entries at fault in refused uploads', ['code']),
    delivered: metrics.counter('shard_delivered_total', 'Messages that came, for each recipient', ['result']),
    posted: metrics.counter('shard_posted_total', 'Messages posted, for each recipient', ['code']),
    framesStored: metrics.counter('shard_frames_stored_total', 'Entries accepted by uploads'),
  };
}

/** The figures of a shard's outbox. */
export interface OutboxFigures {
  /** Messages that nobody took in time. */
  readonly expired: Counter<never>;
  /** Wake-ups that did not reach Redis. */
  readonly wakeUpsLost: Counter<never>;
}

/** Defines them. */
export function defineOutboxFigures(metrics: Metrics): OutboxFigures {
  return {
    expired: metrics.counter('shard_messages_expired_total', 'Messages that expired before they were delivered'),
    wakeUpsLost: metrics.counter('shard_wake_ups_lost_total', 'Wake-ups that were not handed over'),
  };
}

/** The figures of a shard's storage. */
export interface StoreFigures {
  /** Frames found to be other than they were written. */
  readonly damaged: Counter<never>;
  /** Bodies of deleted entries that were removed. */
  readonly erased: Counter<never>;
  /** Counts one database transaction. */
  observe(report: GroupReport): void;
}

/** How many writes share a database transaction: powers of two up to the most that may. */
const groupBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** Defines them. */
export function defineStoreFigures(metrics: Metrics): StoreFigures {
  const commits = metrics.histogram('shard_commit_seconds', 'Time of a database transaction');
  const writes = metrics.histogram('shard_commit_writes', 'Writes in a database transaction', [], groupBuckets);
  const frames = metrics.counter('shard_frames_committed_total', 'Frames committed, those of the service included');
  return {
    damaged: metrics.counter('shard_frames_damaged_total', 'Frames that failed their digest when they were read'),
    erased: metrics.counter('shard_bodies_erased_total', 'Bodies of deleted entries that were removed'),
    observe: ({ writeCount, frameCount, durationMs }) => {
      commits.observe(durationMs / 1000);
      writes.observe(writeCount);
      frames.inc(frameCount);
    },
  };
}
