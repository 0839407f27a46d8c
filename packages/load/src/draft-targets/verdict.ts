/** What a run came to, and whether that is enough; pure. */
import { draftTransactionMsMax, loadRateShareMin } from '@meshd/limits/load';

/** One message: what its provider said, and when. Times are in milliseconds of any one clock. */
export interface LoadedMessage {
  readonly id: string;
  readonly result: 'accepted' | 'refused' | 'failed';
  /** From when it was to be sent until it was answered. */
  readonly tookMs: number;
  readonly answeredMs: number;
  readonly reason?: string;
}

/** What {@link verdictOf} judges. */
export interface RunFacts {
  readonly messages: readonly LoadedMessage[];
  /** Messages a second that were to be sent. */
  readonly perSecond: number;
  /** Identifiers of messages that the recipients' devices found, verified. */
  readonly arrived: ReadonlySet<string>;
}

/** Percentiles of a time. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What is told. */
export interface Verdict {
  readonly messages: number;
  readonly accepted: number;
  readonly refused: number;
  readonly failed: number;
  /** Accepted messages that no recipient has. */
  readonly lost: number;
  /** Transactions that took longer than the draft allows. */
  readonly late: number;
  readonly wantedPerSecond: number;
  /** Answers a second, from the first to the last. */
  readonly answeredPerSecond: number;
  /** From when a message was to be sent until its transaction was over, whatever came of it. */
  readonly transactionMs: Percentiles;
  /** Why messages were not accepted, with how often. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly held: boolean;
}

/** Judges a run: held where all were accepted in time, arrived, and the rate was kept. */
export function verdictOf({ messages, perSecond, arrived }: RunFacts): Verdict {
  const count = (result: LoadedMessage['result']): number => messages.filter((one) => one.result === result).length;
  const accepted = count('accepted');
  const lost = messages.filter(({ id, result }) => result === 'accepted' && !arrived.has(id)).length;
  const late = messages.filter(({ tookMs }) => tookMs > draftTransactionMsMax).length;
  const answeredPerSecond = rateOf(messages.map(({ answeredMs }) => answeredMs));
  const isFastEnough = messages.length < 2 || answeredPerSecond >= loadRateShareMin * perSecond;
  const reasons: Record<string, number> = {};
  for (const { reason } of messages) if (reason !== undefined) reasons[reason] = (reasons[reason] ?? 0) + 1;
  return {
    ...{ messages: messages.length, accepted, refused: count('refused'), failed: count('failed'), lost, late },
    ...{ wantedPerSecond: perSecond, answeredPerSecond: rounded(answeredPerSecond) },
    transactionMs: percentilesOf(messages.map(({ tookMs }) => tookMs)),
    reasons,
    held: messages.length > 0 && accepted === messages.length && lost === 0 && late === 0 && isFastEnough,
  };
}

/** Events a second between the first and the last. */
function rateOf(timesMs: readonly number[]): number {
  const spanMs = timesMs.reduce((a, b) => Math.max(a, b), 0) - timesMs.reduce((a, b) => Math.min(a, b), Infinity);
  return timesMs.length < 2 ? 0 : ((timesMs.length - 1) * 1000) / Math.max(spanMs, 1);
}

/** Percentiles by nearest rank. */
export function percentilesOf(times: readonly number[]): Percentiles {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => rounded(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
