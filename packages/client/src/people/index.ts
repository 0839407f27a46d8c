/**
 * What people tell each other: who they are, and whether they agree (semantics 8.6). Rules alone, over messages that were read
 * and verified; nothing here sends or stores anything.
 *
 * - `card.ts` a contact card: a Contact that a device of the account has signed, with all that proves it.
 * - `contact-link.ts` what a QR code holds in place of a card: an address and the fingerprint of its account.
 * - `comparison.ts` the code by which two people find out whether anybody stands between them (S72).
 * - `exchange.ts` what a request for contact, or an answer to one, shows.
 * - `confirmation.ts` what a response says to a request for confirmation, or why it says nothing.
 */
export {};
