/**
 * Devices that ask to be connected (semantics 7, S50 to S55), as rules over the rows of their requests.
 *
 * - `pending.ts` who may ask, what a request stands at, and which rows have had their time.
 * - `decisions.ts` what an administrator's messages, filed in the account's inbound spool, make of the requests.
 * - `first-use.ts` the first request under a device's new keys, after which its base key is worth nothing (S55).
 * - `offers.ts` offers of connection at an account where devices hail (S56): whose they are, and which is shown next.
 *
 * The service only relays: what is asked, challenged, revealed and answered is signed by the two ends, and judged by them.
 */
export {};
