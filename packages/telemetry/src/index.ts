/**
 * What a process tells about itself: log lines and figures.
 *
 * - `logger.ts` makes the one pino logger of a process; everything else is handed a child of it.
 * - `metrics.ts` makes the one registry of figures, and defines counters, gauges and histograms on it.
 *
 * Rules that hold for both: no secret, no payload octet, no key. Account names and message identities appear in log
 * lines where a person needs them, never as the value of a metric's label (their number has no bound).
 */
export {};
