import { parseUdf, udfType } from '@meshd/crypto/udf';
import { publicationIdentifierCharactersMax } from '@meshd/limits/hailing';

const identifierBits = 280;

/**
 * Whether something can be published under this text (semantics 7.6): the identifier of an EARL (encoding 1.9) in its canonical
 * form, so that what is asked for by path is found without being interpreted.
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
