import { decodeBase64Url } from '@meshd/encoding/base64url';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';

/*
 * Headers and trailers are kept as JSON text, where octets are base64url strings. JSON-B has items for octets, and
 * which strings become items cannot be seen from the text: it is said here, by member name. Members that are not
 * named, unknown ones among them, stay what they are.
 */

/** What stands at a place: octets, an envelope, or an object with shapes of its own; an array has its elements' shape. */
export type BinaryShape = 'octets' | 'envelope' | { readonly [member: string]: BinaryShape };

const key: BinaryShape = { PublicKeyECDH: { Public: 'octets' } };

const signatureEntry: BinaryShape = {
  cert: 'octets',
  path: { x5c: 'octets' },
  Manifest: 'octets',
  signature: 'octets',
  witness: 'octets',
  Ticket: 'octets',
  Profile: 'envelope',
  Connection: 'envelope',
  Account: 'envelope',
};

/** Shapes of header and trailer members alike, since a trailer's members may stand in a header. */
const header: BinaryShape = {
  Salt: 'octets',
  Malt: 'octets',
  cloaked: 'octets',
  Annotations: 'octets',
  ContentMetaData: 'octets',
  SignedData: 'octets',
  PayloadDigest: 'octets',
  ChainDigest: 'octets',
  TreeDigest: 'octets',
  Inclusion: 'octets',
  LeafDigest: 'octets',
  recipients: { epk: key, wmk: 'octets' },
  signatures: signatureEntry,
};

export const binaryShapes = { header };

function envelopeItems(parts: JsonValue[]): JsonValue[] {
  return parts.map((part, at) => withBinaryItems(part, at === 1 ? 'octets' : header));
}

/** The value with octets in place of the base64url strings that the shape names. Throws EncodingError `alphabet`. */
export function withBinaryItems(value: JsonValue, shape: BinaryShape): JsonValue {
  if (Array.isArray(value)) {
    return shape === 'envelope' ? envelopeItems(value) : value.map((element) => withBinaryItems(element, shape));
  }
  if (typeof value === 'string') return shape === 'octets' ? decodeBase64Url(value) : value;
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || typeof shape === 'string')
    return value;
  const result: JsonObject = Object.create(null) as JsonObject;
  for (const name of Object.keys(value)) {
    const member = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const inner = value[name] as JsonValue;
    result[name] = member === undefined ? inner : withBinaryItems(inner, member);
  }
  return result;
}
