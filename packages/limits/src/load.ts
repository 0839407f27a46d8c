/*
 * Bounds of the programs that stand at the other end of a provider (`mesh-sink`, `mesh-source`, `mesh-load`): they run beside a provider
 * under load, and must not be the first to fall over.
 */

const mebibyte = 1024 * 1024;
const second = 1000;

/** Messages that a sink remembers by name, about 500 octets each; those beyond it are counted and no more. */
export const sinkMessagesMax = 200_000;
/** Octets of an answer that is meant to be too large: far above what any peer takes, and no flood if one takes it all. */
export const sinkOversizeBytes = 64 * mebibyte;
/** A sink that drips sends one octet this often: fast enough to look alive, too slow for any answer to end in time. */
export const sinkDripMs = second;
/** An order to a sink. */
export const sinkOrderBytesMax = 64 * 1024;
/** Messages of a source on their way to its provider: those beyond it wait and count as late. */
export const sourceInWorkMax = 64;
/** Messages that a source tells of one by one. */
export const sourceMessagesMax = 100_000;
/** Between two looks of a source at what became of its messages. */
export const sourceLookMs = second;
/** Octets that a relay passes on at once: other connections have their turn after them. */
export const relayPieceBytes = 8 * 1024;
/** Octets that a shaped line lets pass at once after a pause: some packets, so that it is never idle between two ticks. */
export const linkBurstBytes = 16 * 1024;
/** A packet that would wait longer than this for a shaped line is dropped, as on any line. */
export const linkQueueMs = 200;
/** Octets of payload of each message of the draft's targets: a full message on a 10 Mb/s line, with TLS and TCP around it. */
export const draftPayloadBytes = 56_000;
/** Messages a second of the draft's targets (7.1, 9.1.2.1). */
export const draftMessagesPerSecond = 20;
/** A transaction of the draft's targets is over by then (9.1.2.1). */
export const draftTransactionMsMax = 5 * second;
/** Messages of one account of a load: below what one account may send in an hour. */
export const loadMessagesPerAccountMax = 1800;
/** Share of the rate that must have been held: the first and the last answer do not take equally long. */
export const loadRateShareMin = 0.97;
/** Messages of a load must have arrived so long after the last was taken. */
export const loadArrivalMsMax = 60 * second;
/** Between two looks of a load at what arrived. */
export const loadLookMs = second;
