import { type EnvelopeOctets, openEnvelope, writeContentMeta } from '@meshd/dare/envelope';
import { Header } from '@meshd/dare/header';
import { encodeObject } from '@meshd/encoding/codec';
import { parseJson } from '@meshd/encoding/json-reader';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';

/** Parts of a frame that a download sends; all three when the client named none (semantics 6.5). */
export interface FrameParts {
  readonly header: boolean;
  readonly payload: boolean;
  readonly trailer: boolean;
}

/** A stored frame; `payload` is null when it was not read or was removed, the digest is there in any case. */
export interface StoredFrame extends EnvelopeOctets {
  readonly payloadDigest: Uint8Array;
}

/**
 * The parts of a stored frame that were asked for (R218–R220).
 *
 * Without its body a frame has the redacted form (encoding 2.1), the trailer's members in the header if the trailer is
 * wanted, its digest added if it was not stated (encoding 3.6). A header that is not wanted is still sent as far as it
 * places the frame: `ContainerInfo` and `UniqueID`.
 */
export function selectParts(frame: StoredFrame, parts: FrameParts): EnvelopeOctets {
  const header = parts.header ? frame.header : reducedHeader(frame.header);
  const trailer = parts.trailer ? frame.trailer : null;
  if (parts.payload && frame.payload !== null) return { header, payload: frame.payload, trailer };
  if (!parts.trailer) return { header, payload: null, trailer: null };
  return { header: withTrailer(header, frame), payload: null, trailer: null };
}

function reducedHeader(octets: Uint8Array): Uint8Array {
  const { header, contentMetaData } = openEnvelope({ header: octets, payload: null, trailer: null });
  const uniqueId = contentMetaData?.UniqueID;
  const reduced: Header = {
    ...(header.ContainerInfo === undefined ? {} : { ContainerInfo: header.ContainerInfo }),
    ...(uniqueId === undefined ? {} : { ContentMetaData: writeContentMeta({ UniqueID: uniqueId }) }),
  };
  return encodeObject(Header, reduced, 'json');
}

function withTrailer(header: Uint8Array, frame: StoredFrame): Uint8Array {
  const trailer = frame.trailer === null ? {} : (parseJson(frame.trailer) as JsonObject);
  const members = { ...(parseJson(header) as JsonObject), ...trailer };
  return writeJson({ ...members, PayloadDigest: members.PayloadDigest ?? frame.payloadDigest });
}
