/** What a device bears from its service and from other people, and how often it tries. Large files stand in `large.ts`. */
import { statusWaitMsMax } from './limits.js';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Attempts at one transaction: with the pauses between them four seconds, after which people want to hear of it. */
export const requestAttemptsMax = 5;
/** The first of these pauses; they double. */
export const requestPauseMsFirst = 250;
/** Requests whose exchange is remembered for a repetition under the same `ID`: more than one device has in work. */
export const exchangesRememberedMax = 64;
/** Hosts of services whose chain a device keeps: those of one service, each with a few connections as they are renewed. */
export const hostChainsMax = 64;

/** Payload octets of one page: the next one travels while this one is decoded and verified. */
export const pageBytes = mebibyte;
/** What is asked for on a line that breaks. */
export const pageBytesMin = 64 * kibibyte;
/** After so many cuts of the same page frames are fetched in slices. */
export const pageCutsMax = 2;
/** Octets of such a slice: small enough to get through where nothing else did. */
export const frameSliceBytes = 128 * kibibyte;

/** Other writers of a container may win this often before the user is told; each time all they wrote is fetched first. */
export const writeConflictsMax = 20;
/** Longest wait between two such attempts; random, so that two devices do not keep meeting. */
export const writeConflictPauseMsMax = 400;
/** Others may change the device catalog so often before the user is told: only administrators can. */
export const deviceConflictsMax = 5;

/** Between two looks at a service that does not know waiting. */
export const watchPollMs = 15 * second;
/** Pauses between attempts of a watch to reach a service that is gone; doubling … */
export const watchPauseMsMin = 500;
/** … up to this. */
export const watchPauseMsMax = 30 * second;
/** So old may kept heads be where nothing is said to have changed; they stay fresh over the longest wait (S45). */
export const keptHeadsMsMax = 5 * minute - statusWaitMsMax - 5 * second;

/** An account that moved more often than that since this device was used last is looked for by hand. */
export const moveHopsMax = 8;
/** Octets of a proof in a file: a frame of the largest payload in base64url inside base64url, and some room. */
export const proofBytesMax = 24 * mebibyte;

/** Wrong codes after which a request to connect is given up (S53). */
export const codeAttemptsMax = 3;
/** How long a PIN holds (S54). */
export const pinLifeMsMax = 24 * hour;
/** How long a question may be answered where nothing else is said. */
export const confirmationLifeMs = 24 * hour;
/** And at most: a message lives 48 hours on its way, and its answer as long. */
export const confirmationLifeMsMax = 96 * hour;
