/**
 * The rules by which an uploaded batch is taken or refused (semantics 5, 5.1, 6.6; S25, S40–S42, S47–S49). Each
 * module knows one rule and returns a fault or nothing; nearly all are pure functions.
 *
 * - `fault.ts`: what is wrong with an entry, and the status of a request with faults;
 * - `frame.ts`: opens a received envelope once and computes what every rule needs (digest, core);
 * - `view.ts`: what the rules know of a container, and how a batch changes it;
 * - `frame-zero.ts`, `container-access.ts`, `position.ts`, `events.ts`, `manifest-rules.ts`, `device-entry.ts`,
 *   `quota.ts`, `revocation-cuts.ts`, `publication-rules.ts`: the rules;
 * - `self-entry.ts`, `marks.ts`: messages of own devices for the inbound spool, and what marks make of messages;
 * - `judge.ts`: asks them in order for one batch and returns the frames to store;
 * - `work.ts`: the entries of one request as they add up, with what is read of the store and the signatures verified.
 */
export {};
