/** The figures of a process, in the form that Prometheus reads. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Defines figures on one registry; names get the prefix `meshd_`. */
export interface Metrics {
  /** What the admin listener prints at `/metrics`. */
  readonly registry: Registry;
  /** A figure that only grows: `name` ends in `_total`. */
  counter<L extends string>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  /** A figure that goes up and down. `collect`, where given, is asked at every scrape. */
  gauge<L extends string>(
    name: string,
    help: string,
    labels?: readonly L[],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L>;
  /** How values are spread; `name` ends in its unit (`_seconds`, `_bytes`). */
  histogram<L extends string>(
    name: string,
    help: string,
    labels?: readonly L[],
    buckets?: readonly number[],
  ): Histogram<L>;
}

/** Options of {@link createMetrics}. */
export interface MetricsOptions {
  /**
   * Figures of the process itself as well (memory, processor time, event loop). They start observers that nothing stops,
   * so only the process's own start asks for them, never a test that makes many registries.
   */
  readonly processMetrics?: boolean;
}

/**
 * Buckets for the time of a request, in seconds. The draft's thresholds (1 s, 4 s, 5 s) are among them so that the share
 * above each can be read exactly.
 */
export const requestSecondsBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 5, 10, 30,
];

/** Buckets for sizes in octets: powers of four from 256 octets to 64 MiB. */
export const bytesBuckets: readonly number[] = Array.from({ length: 10 }, (_, i) => 256 * 4 ** i);

/** Makes a registry of its own: two services inside one test process do not share figures. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics === true) collectDefaultMetrics({ register: registry });
  const common = (name: string, help: string) => ({ name: `meshd_${name}`, help, registers: [registry] });
  return {
    registry,
    counter: (name, help, labels = []) => new Counter({ ...common(name, help), labelNames: labels }),
    gauge<L extends string>(
      name: string,
      help: string,
      labels: readonly L[] = [],
      collect?: (gauge: Gauge<L>) => void | Promise<void>,
    ): Gauge<L> {
      const gauge: Gauge<L> = new Gauge<L>({
        ...common(name, help),
        labelNames: labels,
        ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
      });
      return gauge;
    },
    histogram: (name, help, labels = [], buckets = requestSecondsBuckets) =>
      new Histogram({ ...common(name, help), labelNames: labels, buckets: [...buckets] }),
  };
}
