/**
 * Messages on their way to other accounts, at the sender's shard (semantics 8.1, design 6): a row for each recipient, from
 * the commit that files the message until the commit of the mark that says how it ended.
 *
 * - `destination.ts`: what each attempt makes of a destination, as pure functions; `destinations.ts` keeps their states.
 * - `lease.ts`, `settle.ts`, `list-work.ts`: what outbound workers ask; `peer-spoke.ts`: what routers tell.
 * - `ending.ts` ends rows with marks (`delivery-marks.ts`); `expiry.ts` ends those whose time is over.
 * - `operate.ts`: what operators see and change.
 * - `post-rates.ts`: how many messages an account may send.
 */
export {};
