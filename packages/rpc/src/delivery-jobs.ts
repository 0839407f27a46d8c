/**
 * What shards and outbound workers say to each other through the queue: that something waits for a destination. A job carries
 * names and nothing else (design 3.9), and may be lost: workers find again in the outbox what it told.
 */

/** The queue of a provider. */
export const deliveryQueue = {
  name: 'deliveries',
  /** Keys of the queue begin with this; providers that share one Redis stay apart by it. */
  prefix: (serviceUdf: string): string => `meshd-${serviceUdf}`,
} as const;

/** Names of a lane: which shard holds the rows, where they go, and in which order. */
export interface DeliverJob {
  /** Name of the shard in the slot map. Names of lanes hold no colon, which the queue keeps for itself. */
  readonly shard: string;
  readonly domain: string;
  readonly lane: number;
}

/** A lane has rows. */
export const deliverJob = { name: 'deliver' } as const;

/** The lane's name, the same for every job that concerns it. */
export function laneName({ shard, domain, lane }: DeliverJob): string {
  return `${shard}/${domain}/${lane}`;
}

/**
 * One job a lane, however often it is woken: a thousand messages for one destination wait behind one job, and a wake-up that
 * comes while the job is being worked on makes it run once more.
 *
 * @param delayMs when the lane is to be looked at.
 */
export function deliverJobOptions(job: DeliverJob, delayMs = 0) {
  return {
    deduplication: { id: laneName(job), keepLastIfActive: true },
    removeOnComplete: true,
    removeOnFail: true,
    ...(delayMs > 0 ? { delay: Math.ceil(delayMs) } : {}),
  };
}
