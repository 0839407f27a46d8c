/** Discovery of services (semantics 2.1, S74): how long and how often name servers and places are asked. */

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

/** Places tried for one service. */
export const discoveryConnectsMax = 4;
/** A client's discovery in all. */
export const discoveryMsMax = 10 * second;
/** Connecting to one of several places: a silent one must leave time for the next. */
export const discoveryConnectMsMax = 2 * second;
/** Hosts of one service that are looked at. */
export const discoveryHostsMax = 8;
/** One question to name servers, repetitions included. */
export const dnsQueryMsMax = 2 * second;
/** An answer that is late is asked for again, at the next server. */
export const dnsRepeatMs = 500;
/** Aliases followed from one name. */
export const dnsAliasesMax = 8;
/** Times to live are believed within these bounds. */
export const dnsTtlMsMin = 5 * second;
export const dnsTtlMsMax = day;
/** That a name has no record is believed for this long where the answer does not say. */
export const dnsNegativeMs = minute;
/** Answers kept, some hundred octets each: five of a destination, for as many as a worker keeps connections to. */
export const dnsAnswersMax = 16_384;
/** Records of one answer that are looked at. */
export const dnsRecordsMax = 32;
/** Octets of an answer over UDP that passes everywhere without fragments (DNS flag day 2020). */
export const dnsUdpBytesMax = 1232;
