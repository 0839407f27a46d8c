import { label, sha512 } from '@meshd/crypto/digest';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import { presentBase32 } from '@meshd/encoding/base32';

/** 28 characters (S72). */
const codeBits = 140;
const contactLabel = label('mesh-contact-1');

/**
 * What two people compare to find out whether each has the other's own key (S72): the same at both ends, and another one
 * where a service has put a key of its own in between. Either key alone does not decide it.
 *
 * @param one raw offline key of an account
 * @param other that of the other account
 */
export function comparisonCode(one: Uint8Array, other: Uint8Array): string {
  const [smaller, larger] = [one, other]
    .map((raw) => Buffer.from(fingerprint64('Ed448', raw)))
    .sort(Buffer.compare) as [Buffer, Buffer];
  return presentBase32(sha512(contactLabel, smaller, larger), codeBits);
}
