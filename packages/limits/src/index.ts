/**
 * Every bound on what comes from outside, and every interval the provider keeps, each with its reason.
 *
 * `limits` holds the numbers, `outbox` those of messages that wait, `outbound` those of who carries them, `peers` those of other
 * services, `client` those of devices, `requesters`, `discovery`, `hailing`, `large` and `load` what their names say; `relations` checks at start-up that they fit each other.
 */
export {};
