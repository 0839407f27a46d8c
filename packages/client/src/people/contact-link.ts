import { CryptoError } from '@meshd/crypto/errors';
import { parseUdf } from '@meshd/crypto/udf';
import { AddressError, canonicalAddress } from '@meshd/schema/address';
import { addressScheme } from '../contact-entry.js';
import { ClientError } from '../errors.js';

/*
 * A card has some kilobytes and fits into no QR code that a camera reads well. What fits is whom to ask, and which key must
 * answer: `mmm:alice@alpha.test?account=MDK4-…`. Whoever scans it from the person sends a request for contact, and the card
 * that comes back is that person's or nobody's.
 */

/** Whom to ask, and the account that must answer. */
export interface ContactLink {
  /** Canonical. */
  readonly address: string;
  /** UDF of the account. */
  readonly accountUdf: string;
}

/** Whether a text on the command line is meant as a link. */
export const isContactLink = (text: string): boolean => text.toLowerCase().startsWith(addressScheme);

/** The text of a QR code. */
export function contactLink({ address, accountUdf }: ContactLink): string {
  return `${addressScheme}${address}?account=${accountUdf}`;
}

/** Reads such a text. @throws ClientError `usage` */
export function readContactLink(text: string): ContactLink {
  try {
    const [address = '', query = ''] = text.slice(addressScheme.length).split('?', 2);
    const account = new URLSearchParams(query).get('account') ?? '';
    return { address: canonicalAddress(address), accountUdf: parseUdf(account).canonical };
  } catch (cause) {
    if (!(cause instanceof AddressError || cause instanceof CryptoError)) throw cause;
    const link = `${addressScheme}NAME@DOMAIN?account=FINGERPRINT`;
    throw new ClientError('usage', `that is no link to a contact (${cause.message}); it looks like ${link}`, { cause });
  }
}
