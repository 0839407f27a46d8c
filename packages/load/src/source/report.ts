/** What a source tells when it has ended; pure. */
import type { DeliveryResult } from '@meshd/client/operations/messages';
import { sourceMessagesMax } from '@meshd/limits/load';
import type { SentOne } from './source.js';

/** Shares of the messages that were answered within the time that is told. */
const shares = { p50: 0.5, p90: 0.9, p99: 0.99, max: 1 } as const;

/** The report. Times are in milliseconds. */
export interface SourceReport {
  readonly account: string;
  readonly accepted: number;
  readonly refused: number;
  readonly failed: number;
  readonly seconds: number;
  readonly acceptedPerSecond: number;
  /** From when a message was to be sent until its provider answered. */
  readonly answeredMs: Readonly<Record<keyof typeof shares, number>>;
  /** How the messages ended, by result; empty where nobody waited for it. */
  readonly fates: Readonly<Record<string, number>>;
  readonly messages: readonly (SentOne & { readonly fate?: DeliveryResult })[];
}

/** Makes it. */
export function sourceReport(
  account: string,
  sent: readonly SentOne[],
  tookMs: number,
  fates: ReadonlyMap<string, DeliveryResult>,
): SourceReport {
  const count = (result: SentOne['result']) => sent.filter((one) => one.result === result).length;
  const times = sent.map((one) => one.tookMs).sort((a, b) => a - b);
  const within = (share: number) => round(times[Math.max(0, Math.ceil(times.length * share) - 1)] ?? 0);
  const accepted = count('accepted');
  return {
    ...{ account, accepted, refused: count('refused'), failed: count('failed') },
    ...{ seconds: round(tookMs / 1000), acceptedPerSecond: round((accepted * 1000) / Math.max(tookMs, 1)) },
    answeredMs: { p50: within(shares.p50), p90: within(shares.p90), p99: within(shares.p99), max: within(shares.max) },
    fates: countsOf([...fates.values()]),
    messages: sent.slice(0, sourceMessagesMax).map((one) => {
      const fate = fates.get(one.id);
      return { ...one, tookMs: round(one.tookMs), ...(fate === undefined ? {} : { fate }) };
    }),
  };
}

function countsOf(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
