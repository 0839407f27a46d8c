/** What a router grants to those who ask (draft 9.1.2.1, semantics 8.4): sources, other services, accounts; what is told of it. */

/** Requests of one source in a second: the messages that another service may send, one a request. */
export const requestsPerSourcePerSecondMax = 2000;
/** Who is early by no more than this waits instead of being refused … */
export const limitDelayMsMax = 500;
/** … but no more than so many at one router. */
export const limitDelaysMax = 256;
/** Who is refused more often than this in a minute, for what an honest peer does not do … */
export const abuseRefusalsPerMinuteMax = 120;
/** … is refused for this long before anything is done. */
export const abuseBarMs = 60_000;
/** The router's own work on a request under full load, instead of `transactionMsMax`. */
export const pressedTransactionMsMin = 1000;
/** Kinds of incidents, each of one domain, that a shard counts. */
export const incidentSubjectsMax = 4096;
/** An incident that goes on is recorded again after this, with the number of those between. */
export const incidentRepeatMs = 3_600_000;
/** Records of one kind in an hour at one shard, whoever causes them; what is beyond is one more, with their number. */
export const incidentsPerKindPerHourMax = 100;
/** A recipient is told again after this that an address which he knows by another key goes on being used (S72). */
export const identityNoticeRepeatMs = 24 * 3_600_000;
/** Of so many addresses a shard tells their recipients in that time, each of which it remembers: some megabytes. */
export const identityNoticesRememberedMax = 16_384;
/** Those of one sending domain, an eighth of all: no domain can silence what is told of the others. */
export const identityNoticesPerDomainMax = 2048;
/** A router tells a shard of what one requester does no more often than this. */
export const incidentReportMs = 60_000;
/** Such reports of one router on their way; with more of them shards have other things to do. */
export const incidentReportsMax = 64;
/** Characters of each text in such a report: an address of ours and the longest reason fit. */
export const incidentTextMax = 400;
/** Open connections of one source at one router, an eighth of all: a source may be a whole office behind one address. */
export const connectionsPerSourceMax = 1024;
/** Seconds' worth of messages that a sending domain may bring at once: what gathered while it could not reach us. */
export const messagesBurstSeconds = 60;
