/** Other services (S70, S74, S75): what is asked of them, kept of them and believed of what they say. */

const mebibyte = 1024 * 1024;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Connections kept to one destination. */
export const peerConnectionsMax = 64;
/** A kept connection that carried nothing is closed after this; below the peer's `httpKeepAliveMsMax`. */
export const peerConnectionIdleMs = 30 * second;
/** A place that could not be connected to is tried last for this long. */
export const peerPlaceFailedMs = minute;
/** Places of one service to which connections are kept. */
export const peerPlacesMax = 32;
/** A ticket that a peer did not give is asked for again after this. */
export const peerTicketRetryMs = minute;
/** An answer of another service to Hello or Post: 1,000 entries with receipts of 3 KB in JSON. */
export const peerResponseBytesMax = 8 * mebibyte;
/** Calls to new domains in a second, all shards together (S70). */
export const peerFetchesPerSecondMax = 5;
/** A failed call is not repeated for this long. */
export const peerFailureMs = 10 * minute;
/** A pin is verified anew after this. */
export const peerRenewMs = 24 * hour;
/** Domains wanted and not known that a directory remembers; a storm of invented ones fills no more. */
export const peersWantedMax = 10_000;
/** A leased call is another worker's after this. */
export const peerLeaseMs = 15 * second;
/** Who asks before a pin is there is told to come back after this. */
export const peerPendingMs = 2 * second;
/** Pins that a router keeps in memory, and for how long it believes them. */
export const peersKnownMax = 4096;
export const peerKnownMs = minute;
/** Our copy of a directory's note that a domain is wanted is not written more often than this. */
export const peerWantedNotedMs = minute;
/** Octets of the name of a failure that the directory keeps. */
export const peerFailureBytesMax = 200;
/** Features of a service that the directory keeps: ours has a dozen. */
export const peerFeaturesMax = 64;
/** Connections of a shard to the directory for look-ups of other services. */
export const peerConnectionsToDirectoryMax = 2;
/** Shards are told no more often than this that a domain's service spoke: its destination wakes once. */
export const peerSpokeMs = second;
/** Hosts of other services whose chain a router verified and remembers. */
export const peerHostsMax = 1024;
/** Domains of one host that a ticket can name; a service with more signs for the others. */
export const peerTicketDomainsMax = 16;
