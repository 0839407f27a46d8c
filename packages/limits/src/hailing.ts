/*
 * Devices without display or keys (semantics 7.6): what accounts publish for those who scan their codes, and the invitations
 * that such devices come for.
 */

const kibibyte = 1024;
const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

/** Octets of one publication as it is served (semantics 7.6): a description of a device takes two KiB. */
export const publicationBytesMax = 64 * kibibyte;
/** Publications of one account at a time (semantics 7.6). */
export const publicationsPerAccountMax = 16;
/** Characters of an identifier: 280 bits have 56 and their dashes; it is also the key of an entry and a path on the wire. */
export const publicationIdentifierCharactersMax = 128;
/** Publications fetched from one source address in a minute: whoever scans codes does one at a time. */
export const publicationsPerMinutePerSourceMax = 120;
/** How long looking one up may take before the fetch fails. */
export const publicationFetchMsMax = 10 * second;
/** Publications that a worker takes along at once: a MiB. */
export const publicationsLeasedMax = 16;
/** A publication that a worker has not handed over is another worker's after this. */
export const publicationLeaseMs = 15 * second;
/** Between two looks for publications that are to be handed over. */
export const publicationSweepMs = second;
/** That a publication was withdrawn is remembered for longer than any worker may still carry what it said before. */
export const publicationWithdrawnMs = day;

/** How old an offer may be (S56): a device takes no older ones, so none is kept longer. */
export const offerMs = 7 * day;
/** Offers that wait for one device; strangers make them, and only the device can tell which is good. */
export const offersPerDeviceMax = 8;
/** Offers that wait at one account: each costs an entry of its inbound spool. */
export const offersPerAccountMax = 1024;
/** Devices of which a shard remembers the offer that they were shown last. */
export const offerTurnsMax = 16_384;
/** A device with a button takes offers for this long after it was pressed (S57). */
export const offerButtonMs = 10 * minute;
/** Who connects a device is warned where it has not shown itself within this (S57). */
export const firstStatusMsMax = 10 * minute;
