/**
 * One account at several services, and its way from one to another (R008 to R011, R027).
 *
 * - `addresses.ts` the addresses of a profile, and newer profiles and connections that name others.
 * - `places.ts` where each service is; `journal.ts` what is under way, so that it can be gone on with or undone.
 * - `copy.ts` all stores, frame by frame as they are, and the comparison afterwards.
 * - `switch.ts` the steps from one service to the other; `services.ts` add, remove, list.
 * - `follow.ts` what a device does that is told of a move: nothing that the account's own keys have not signed.
 */
export {};
