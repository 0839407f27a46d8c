/**
 * What shards and outbound workers say to each other through the queue in Redis: that something waits for a destination. A
 * job carries names and nothing else (design 3.9), and may be lost: the outbox knows what it told.
 */

/** The queue of a provider. */
export const deliveryQueue = {
  name: 'deliveries',
  /** Keys of the queue begin with this; providers that share one Redis stay apart by it. */
  prefix: (serviceUdf: string): string => `meshd-${serviceUdf}`,
} as const;

/** A lane: which shard holds the rows, where they go, and in which order. */
export interface Lane {
  /** Name of the shard in the slot map. */
  readonly shard: string;
  readonly domain: string;
  readonly lane: number;
}

/** The lane in one word. No colon may stand in it: the queue keeps those for itself. */
export function laneName({ shard, domain, lane }: Lane): string {
  return `${shard}/${domain}/${lane}`;
}

/**
 * One job a lane, however often it is woken: a thousand messages for one destination wait behind one job, and a wake-up that
 * comes while the job is being worked on makes it run once more.
 *
 * @param dueMs when the lane is to be looked at, Unix time in milliseconds; 0: now
 */
export function deliverJob({ shard, domain, lane }: Lane, dueMs: number, nowMs: number) {
  const delay = Math.max(0, Math.ceil(dueMs - nowMs));
  const deduplication = {
    id: laneName({ shard, domain, lane }),
    keepLastIfActive: true,
    // What is due now brings a job forward that waits for a later time; what is due later leaves one as it is.
    ...(delay === 0 ? { reschedule: true } : {}),
  };
  const opts = { delay, removeOnComplete: true, removeOnFail: true, deduplication };
  return { name: 'deliver', data: { shard, domain, lane }, opts } as const;
}
