/**
 * The rules by which an uploaded batch is taken or refused (semantics 5, 5.1, 6.6; S40–S42, S49), as pure functions:
 * no database, no clock, no randomness. Each module knows one rule and returns a fault or nothing.
 *
 * - `fault.ts`: what is wrong with an entry, and the status of a request with faults;
 * - `frame.ts`: opens a received envelope once and computes what every rule needs (digest, core);
 * - `view.ts`: what the rules know of a container, and how a batch changes it;
 * - `frame-zero.ts`, `container-access.ts`, `position.ts`, `events.ts`, `manifest-rules.ts`, `device-entry.ts`,
 *   `quota.ts`: the rules;
 * - `judge.ts`: asks them in order for one batch and returns the frames to store.
 */
export {};
