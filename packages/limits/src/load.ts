/*
 * Bounds of the programs that stand at the other end of a provider (`mesh-sink`, `mesh-source`): they run beside a provider
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
