import { sha512 } from '@meshd/crypto/digest';
import { openEnvelope } from './envelope.js';

/**
 * The header of an envelope whose body is removed for good: `Malt`, the digest of the salt, in the place of `Salt`, and every
 * other octet as it was, so that the core and all that rests on it stay (security S40, S64).
 *
 * A header in which the place of the salt is not beyond doubt (the word stands there twice, or beside a `Malt`) is returned
 * as it is: better a salt that is left than a header that says something else.
 *
 * @throws EncodingError, DareError for what is no header.
 */
export function erasedHeader(octets: Uint8Array): Uint8Array {
  const { Salt: salt } = openEnvelope({ header: octets, payload: null, trailer: null }).header;
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8');
  const [member, written = ''] = saltMember.exec(text) ?? [];
  if (salt === undefined || member === undefined || text.includes('"Malt"')) return octets;
  if (text.indexOf('"Salt"') !== text.lastIndexOf('"Salt"') || !Buffer.from(written, 'base64url').equals(salt)) {
    return octets;
  }
  const malt = Buffer.from(sha512(salt)).toString('base64url');
  return Buffer.from(text.replace(member, `"Malt":"${malt}"`), 'utf8');
}

/** The database knows the same form: `frame_erased_header`. */
const saltMember = /"Salt"\s*:\s*"([A-Za-z0-9_-]+)"/;
