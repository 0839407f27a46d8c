import { largeBytesPerAccountMax } from '@meshd/limits/large';
import { contactRequestsPerDomainPerDayMax, postsPerAccountPerHourMax } from '@meshd/limits/limits';
import { commonSettings, hostPort, nameList, registration, secretUrl } from '@meshd/process/setting';
import { canonicalDomain } from '@meshd/schema/address';
import { z } from 'zod';

/** Domains, brought into their canonical form. */
const domains = nameList.transform((names, context): string[] => {
  try {
    return names.map((name) => canonicalDomain(name));
  } catch {
    context.addIssue({ code: 'custom', message: 'must be domain names' });
    return z.NEVER;
  }
});

/** Settings of a shard; the name of each in the environment is `MESHD_` and its own in capitals. */
export const shardSettings = z.object({
  ...commonSettings,
  /** Name of this shard in the directory; its replicas of one lease share it. */
  shardName: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a name of letters, digits and dashes'),
  /** All shards configured: the slots are spread over them when the directory is made. */
  shardNames: nameList,
  /** Where the rpc listener binds. */
  rpcListen: hostPort,
  /** Where routers reach it. */
  rpcAdvertise: hostPort,
  /** The shard's own database. */
  postgresUrl: secretUrl,
  /** The database of the directory; may be on the same server. */
  directoryUrl: secretUrl,
  /** Domains served. */
  domains,
  registration,
  /** Where wake-ups for the outbound worker go; without it the worker's sweeper finds what is to do. */
  redisUrl: secretUrl.optional(),
  /** Domains with which messages are exchanged; all when absent. */
  messageDomains: domains.optional(),
  /** Domains with which none are. */
  messageDomainsRefused: domains.optional(),
  /** Domains whose people may write to anybody here, known or not: for development, and for domains of one house. */
  messageDomainsOpen: domains.optional(),
  /** Types of messages that are neither sent nor taken. */
  messageTypesRefused: nameList.optional(),
  /** Whether senders are told that a message was refused, or that it was taken though it was dropped. */
  messageRefusals: z.enum(['told', 'dropped']).default('told'),
  /** Requests for contact that strangers of one domain may send to this shard in a day. */
  contactRequestsPerDayMax: z.coerce.number().int().nonnegative().default(contactRequestsPerDomainPerDayMax),
  /** Messages that an account may send in an hour, each counted for each recipient. */
  postsPerHourMax: z.coerce.number().int().positive().default(postsPerAccountPerHourMax),
  /** Octets of large files that an account may have; 0: none are taken. */
  largeBytesMax: z.coerce.number().int().nonnegative().default(largeBytesPerAccountMax),
});

/** The settings of a shard, checked. */
export type ShardConfig = z.output<typeof shardSettings>;
