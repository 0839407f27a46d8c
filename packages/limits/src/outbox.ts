/*
 * Bounds of the outbox: messages that wait at their sender's shard. What concerns both services stands in `limits.ts`.
 */
import { outboundTransactionMsMax } from './limits.js';

const mebibyte = 1024 * 1024;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Time over which messages of one account are counted. */
export const postRateMs = hour;
/** Octets of messages leased at once: so many messages of full size, far below what one call may carry. */
export const outboxLeaseBytesMax = 4 * mebibyte;
/**
 * Octets of messages kept for the worker that is woken for them, so that they need not be read back: some seconds of what a
 * shard takes in. With a destination that does not answer it is what is thrown away first.
 */
export const outboxFreshBytesMax = 16 * mebibyte;
/** Leases and states of so many callers are written in one transaction at most: it holds their rows until its end. */
export const gatheredWritesMax = 32;
/** Ages by which messages that wait are counted for operators. */
export const outboxAgesMs: readonly number[] = [minute, 10 * minute, hour, 6 * hour, 24 * hour];
/** A success of a destination is noted in the database this often: it decides nothing, people read it. */
export const destinationSuccessNotedMs = minute;
/** An attempt that looks whether a destination is back, with its settling; nobody else begins one meanwhile. */
export const destinationProbeMsMax = 2 * outboundTransactionMsMax;
/** Why an attempt failed, as it is kept and shown: it may be the peer's text, and long. */
export const failureCharactersMax = 200;
/** Lanes told of at once to who makes wake-ups again. */
export const outboxLanesListedMax = 1000;
/** Destinations told of at once to an operator; each costs a count of its rows. */
export const destinationsListedMax = 100;
/** Single messages told of at once to an operator. */
export const waitingListedMax = 500;
/** Single messages that `mesh-admin queue show` lists unless told otherwise: more than one looks through. */
export const waitingShown = 20;
/** The most that it lists: they are put in order in memory. */
export const waitingShownMax = 10_000;
/** States of destinations that a shard keeps in memory. */
export const destinationsKnownMax = 20_000;
/** A destination without messages of which nothing was heard for this long is forgotten. */
export const destinationForgetMs = 7 * day;
/** Rows that end together: deliveries expired or dropped by one look. */
export const outboxEndedAtOnceMax = 256;
/** Recipients that one mark tells of; with a receipt of 4 KB each it stays below the size of a message. */
export const markReferencesMax = 12;
/** Wake-ups that a shard has not handed over yet; beyond it the sweeper of the outbound worker finds the work. */
export const wakeUpsWaitingMax = 10_000;
