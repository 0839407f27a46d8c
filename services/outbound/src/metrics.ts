/** The figures of the outbound process. No domain is a label: a peer must not be able to make figures (design 3.9). */
import type { Metrics } from '@meshd/telemetry/metrics';
import type { CarryOutcome, RowResult } from './carrier.js';
import type { LimitChange } from './lines.js';

/** Makes them. */
export function makeFigures(metrics: Metrics) {
  const posts = metrics.counter('outbound_posts_total', 'Posts and local deliveries, by what came of them.', [
    'result',
  ]);
  const messages = metrics.counter('outbound_messages_total', 'Messages, by what became of them in one attempt.', [
    'result',
  ]);
  const seconds = metrics.histogram('outbound_post_seconds', 'Time of a Post, discovery included.', ['to']);
  const decisions = metrics.counter(
    'outbound_controller_decisions_total',
    'Decisions on how many Posts may be in work.',
    ['change', 'reason'],
  );
  return {
    /** Tells of a batch that was carried. */
    carried: (to: 'peer' | 'own', outcome: CarryOutcome, tookMs: number): void => {
      posts.inc({ result: outcome.kind === 'failed' ? outcome.failure : outcome.kind });
      seconds.observe({ to }, tookMs / 1000);
    },
    /** Tells of rows that were settled. */
    settled: (results: Iterable<RowResult>, released: number): void => {
      for (const { kind } of results) messages.inc({ result: kind });
      if (released > 0) messages.inc({ result: 'released' }, released);
    },
    decided: ({ change, reason }: LimitChange): void => decisions.inc({ change, reason }),
    receipts: metrics.counter('outbound_receipts_total', 'Receipts for messages that were accepted.', ['result']),
    turns: metrics.counter('outbound_lane_turns_total', 'Turns of lanes, by what they wait for next.', ['next']),
    peerCalls: metrics.counter('outbound_peer_calls_total', 'Calls that find out the key of a service.', ['result']),
    publications: metrics.counter(
      'outbound_publications_total',
      'Publications of accounts taken to the shard that serves them, by what it made of them.',
      ['result'],
    ),
    lanes: metrics.gauge('outbound_lanes', 'Lanes with messages at the last sweep, all shards.'),
  };
}

/** The figures. */
export type Figures = ReturnType<typeof makeFigures>;
