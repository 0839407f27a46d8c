import { parseUdf, udfType } from '@meshd/crypto/udf';
import { envelope } from '@meshd/dare/envelope';
import { defineObject, defineTags, type ObjectOf, string } from '@meshd/encoding/codec';
import { publicationIdentifierCharactersMax } from '@meshd/limits/hailing';

/* Devices without display or keys (semantics 7.6). */

const identifierBits = 280;

/** What a device is, and where it comes for its owner's word: published, encrypted under the key that its code shows. */
export const DeviceDescription = defineObject({
  name: 'DeviceDescription',
  fields: {
    EnvelopedProfileDevice: envelope,
    /** Canonical address of the account where the device hails, and its domain. */
    HailingServiceID: string,
    HailingDomain: string,
  },
});
export type DeviceDescription = ObjectOf<typeof DeviceDescription>;

/** Payloads of publications. */
export const descriptionRegistry = defineTags('description of a device', { DeviceDescription });

/**
 * Whether something can be published under this text: the identifier of an EARL (encoding 1.9) in its canonical form, so that
 * what is asked for by path is found without being interpreted.
 */
export function isPublicationIdentifier(text: string): boolean {
  if (text.length > publicationIdentifierCharactersMax) return false;
  try {
    const { typeId, canonical, data } = parseUdf(text);
    const isDigest = typeId === udfType.sha2Digest || typeId === udfType.sha3Digest;
    return isDigest && canonical === text && (data.length + 1) * 8 >= identifierBits;
  } catch {
    return false;
  }
}
