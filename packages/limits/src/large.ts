/*
 * Large data by reference: files that a sender's service keeps in slices until their recipients have fetched them.
 */

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const gibibyte = 1024 * mebibyte;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Octets of one slice as stored: one request, one rpc entry, one row. Whoever carries a file holds a few of them at a time. */
export const largeSliceBytesMax = mebibyte;
/** Octets of a file in one of our slices: half a minute on a line of 140 kbit/s, and few requests on a fast one. */
export const largePlainBytes = 512 * kibibyte;
/** After cuts a slice is fetched in pieces, no smaller than this. */
export const largePieceBytesMin = 32 * kibibyte;
/** A request that brings a slice, in JSON: a third more than its octets, and what stands beside them. */
export const largeRequestBytesMax = 1536 * kibibyte;
/** Octets that one account may have stored or announced, sealed. */
export const largeBytesPerAccountMax = 4 * gibibyte;
/** Files of one account, unfinished ones included. */
export const largeFilesPerAccountMax = 256;
/** A file whose upload stands still for this long is dropped. */
export const largeUnfinishedMs = day;
/** A file is kept for this long from its completion, where nothing shorter was asked for: longer than a message may wait. */
export const largeKeptMsDefault = 14 * day;
/** And never longer. */
export const largeKeptMsMax = 30 * day;
/** Slices deleted by one statement: some tens of MiB. */
export const largeSweepRowsMax = 64;
/** Files looked up at once by the sweeper. */
export const largeSweepFilesMax = 256;
/** Octets of slices that wait to be written at one shard; beyond it: overloaded, come back. */
export const largeWriteBytesWaitingMax = 32 * mebibyte;
/** Slices of one account among them: no account keeps others from writing. */
export const largeWritesPerAccountMax = 4;
/** Octets of a file's name in a message. */
export const largeNameBytesMax = 255;
/** Digits, letters and dashes of an identifier: 280 bits have 70. */
export const largeIdentifierCharactersMax = 128;
