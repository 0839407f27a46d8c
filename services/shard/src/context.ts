import type { HostIdentity } from '@meshd/binding/host-files';
import type { Random } from '@meshd/crypto/random';
import type { Clock } from '@meshd/process/clock';
import type { Registration } from './account-policy.js';
import type { OfferTurns } from './connect/offers.js';
import type { AccountHeads } from './heads.js';
import type { IdentityNotices } from './message/identity-notices.js';
import type { IncidentTally } from './message/incident-tally.js';
import type { SendingDomains } from './message/offers.js';
import type { SitePolicy } from './message/site-policy.js';
import type { Destinations } from './outbox/destinations.js';
import type { PostRates } from './outbox/post-rates.js';
import type { StatusWaits } from './status-waits.js';
import type { Store } from './storage/store.js';
import type { WakeUps } from './wake-ups.js';

/** What the transactions work with. */
export interface ShardContext {
  readonly store: Store;
  /** The host's key and credentials as they are now: they are renewed while the process runs. */
  readonly host: () => HostIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly registration: Registration;
  /** Signs the heads of accounts. */
  readonly heads: AccountHeads;
  /** Requests that wait for a change. */
  readonly waits: StatusWaits;
  /** Domains served, canonical. */
  readonly domains: ReadonlySet<string>;
  /** What the operator decides about messages. */
  readonly site: SitePolicy;
  /** What other domains have used up. */
  readonly sendingDomains: SendingDomains;
  /** Which offers hailing devices were shown. */
  readonly offerTurns: OfferTurns;
  /** What an operator should hear of. */
  readonly incidents: IncidentTally;
  /** What recipients should hear of. */
  readonly identityNotices: IdentityNotices;
  /** Where messages go to. */
  readonly destinations: Destinations;
  /** How many messages accounts send. */
  readonly postRates: PostRates;
  /** Octets of large files that one account may have. */
  readonly largeBytesMax: number;
  /** Tells the outbound worker. */
  readonly wakeUps: WakeUps;
}

/** What identifies a request for repetition (S27). */
export interface RequestIdentity {
  /** 24 octets. */
  readonly id: Uint8Array;
  /** SHA-512 of the request's payload. */
  readonly payloadDigest: Uint8Array;
}
