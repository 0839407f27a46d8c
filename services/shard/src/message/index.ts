/**
 * Messages that come in for an account, whoever brings them (semantics 6.7, 8.3). What a message proves by itself the schema's
 * `message-check` says; here is what the recipient's service makes of it:
 *
 * - `access-control.ts`: whether it is taken, as a pure function of what is known of sender and recipient;
 * - `site-policy.ts`: what the operator decides for the whole site, for what comes and what goes;
 * - `incident-tally.ts`: what an operator should hear of, counted where it comes in floods;
 * - `identity-notices.ts`: what the recipient hears of messages under an address that she knows by another key (S72);
 * - `identity.ts`: what makes two messages the same (S73);
 * - `offers.ts`: messages that were offered without their body, and how many a sending domain may (S82, S80);
 * - `receipt.ts`: the service's signed word that it took responsibility (S81);
 * - `contact-changes.ts`: what entries of the contacts' catalog let others do.
 */
export {};
