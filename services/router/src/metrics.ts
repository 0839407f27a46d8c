/** Figures of the router. */
import {
  type Counter,
  type Gauge,
  type Histogram,
  type Metrics,
  requestSecondsBuckets,
} from '@meshd/telemetry/metrics';

/** The figures, each with its labels. */
export interface RouterMetrics {
  /** Requests by transaction and outcome; refusals are outcomes too, so every refusal is counted by its code. */
  readonly requests: Counter<'transaction' | 'code'>;
  readonly seconds: Histogram<'transaction'>;
  readonly refusalsUnsigned: Counter<'code'>;
  readonly inFlight: Gauge;
  readonly broken: Counter;
  readonly limited: Counter<'kind' | 'action'>;
  readonly postsSlow: Counter;
  readonly connectionsRefused: Counter<'reason'>;
}

/** What the gauges ask at every scrape. */
export interface RouterState {
  requestsInFlight(): number;
  bodyBytes(): number;
  requestsSeen(): number;
  mapVersion(): number;
}

/** Defines the figures of one router. */
export function defineRouterMetrics(metrics: Metrics, state: RouterState): RouterMetrics {
  const gauge = (name: string, help: string, read: () => number) => metrics.gauge(name, help, [], (g) => g.set(read()));
  gauge('router_body_bytes', 'Octets of request bodies in memory.', () => state.bodyBytes());
  gauge('router_requests_seen', 'IDs of reading requests remembered.', () => state.requestsSeen());
  gauge('router_map_version', 'Version of the slot map in use; 0 before the first.', () => state.mapVersion());
  return {
    requests: metrics.counter('router_requests_total', 'Requests by transaction and outcome.', ['transaction', 'code']),
    seconds: metrics.histogram(
      'router_request_seconds',
      'From the last octet of a request to the last of its answer.',
      ['transaction'],
      requestSecondsBuckets,
    ),
    refusalsUnsigned: metrics.counter('router_refusals_unsigned_total', 'Refusals without signature.', ['code']),
    inFlight: gauge('router_requests_in_flight', 'Requests in work.', () => state.requestsInFlight()),
    broken: metrics.counter('router_exchanges_broken_total', 'Exchanges that ended without a whole answer.'),
    limited: metrics.counter('router_limited_total', 'Requests delayed or refused, requesters barred, by limit.', [
      'kind',
      'action',
    ]),
    postsSlow: metrics.counter('router_posts_slow_total', 'Posts of other services that took longer than they may.'),
    connectionsRefused: metrics.counter('router_connections_refused_total', 'Refused by limit, TLS or HTTP.', [
      'reason',
    ]),
  };
}
