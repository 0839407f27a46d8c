import type { TokenReader } from '@meshd/encoding/token-reader';
import type { TokenWriter } from '@meshd/encoding/token-writer';
import { copyValue } from '@meshd/encoding/transcode';

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

/** Copies the next value of JSON text into JSON-B, with items where the shape names octets. Throws EncodingError. */
export function copyShaped(reader: TokenReader, writer: TokenWriter, shape: BinaryShape | undefined): void {
  const kind = shape === undefined ? undefined : reader.peek();
  if (kind === 'array') copyElements(reader, writer, shape as BinaryShape);
  else if (kind === 'object' && typeof shape === 'object') copyMembers(reader, writer, shape);
  else if (kind === 'string' && shape === 'octets') writer.binary(reader.binary());
  else copyValue(reader, writer);
}

function copyElements(reader: TokenReader, writer: TokenWriter, shape: BinaryShape): void {
  reader.enterArray();
  writer.beginArray();
  for (let at = 0; reader.nextElement(); at += 1) {
    // Of an envelope: header, payload, trailer.
    copyShaped(reader, writer, shape !== 'envelope' ? shape : at === 1 ? 'octets' : header);
  }
  writer.endArray();
}

function copyMembers(
  reader: TokenReader,
  writer: TokenWriter,
  shape: { readonly [member: string]: BinaryShape },
): void {
  reader.enterObject();
  writer.beginObject();
  for (let name = reader.nextMember(); name !== undefined; name = reader.nextMember()) {
    writer.name(name);
    copyShaped(reader, writer, Object.hasOwn(shape, name) ? shape[name] : undefined);
  }
  writer.endObject();
}
