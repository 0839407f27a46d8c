import { coreOfFrame } from '@meshd/dare/core';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { checkPayloadDigest, type DareEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import type { ContainerInfo, ContentMeta, SignatureEntry } from '@meshd/dare/header';
import { EncodingError } from '@meshd/encoding/errors';
import { envelopePartBytesMax } from '@meshd/limits/limits';
import { MeshError } from '@meshd/schema/status';
import { type EntryFault, reject } from './fault.js';

/** One uploaded envelope, opened once: everything that a rule asks of it. */
export interface UploadedFrame {
  /** Running number of the envelope in the request, from 0. */
  readonly indexRequest: number;
  /** As received; stored verbatim. */
  readonly octets: EnvelopeOctets;
  readonly payload: Uint8Array;
  /** The body was left out: the entry belongs to a probe. */
  readonly redacted: boolean;
  /** Recomputed, SHA-2-512; of a redacted entry as stated. */
  readonly payloadDigest: Uint8Array;
  /** S40. */
  readonly core: Uint8Array;
  readonly contentMetaData: Uint8Array;
  readonly meta: ContentMeta;
  readonly info: ContainerInfo | undefined;
  /** Content encryption as the header names it. */
  readonly enc: string | undefined;
  readonly signatures: readonly SignatureEntry[];
  /** `PayloadDigest` stands in the header or trailer. */
  readonly isDigestStated: boolean;
  /** Octets of header, payload and trailer, as the quota counts them. */
  readonly sizeBytes: number;
}

/**
 * Opens an uploaded envelope: one digest over the payload, none other over what is not bounded by the header's size.
 *
 * @returns the frame, or a fault: `payload-digest` where the stated digest is not that of the payload,
 *   `malformed` for whatever is not an envelope.
 * @throws MeshError `too-large` for a header or trailer beyond its bound.
 */
export function openFrame(octets: EnvelopeOctets, indexRequest: number): UploadedFrame | EntryFault {
  requirePartBounds(octets);
  try {
    const envelope = openEnvelope(octets);
    const payloadDigest = envelope.payload === null ? statedDigest(envelope) : checkPayloadDigest(envelope);
    return frameOf({ envelope, payloadDigest, core: coreOfFrame(envelope, payloadDigest) }, indexRequest);
  } catch (error) {
    return faultOf(error, indexRequest);
  }
}

/** Throws MeshError `too-large` for a header or trailer beyond its bound. */
export function requirePartBounds({ header, trailer }: EnvelopeOctets): void {
  if (header.length > envelopePartBytesMax || (trailer?.length ?? 0) > envelopePartBytesMax) {
    throw new MeshError('too-large', `a header or trailer has at most ${envelopePartBytesMax} octets`);
  }
}

/** An envelope that was opened, with what was computed of it. */
export type OpenedFrame = Pick<UploadedFrame, 'payloadDigest' | 'core'> & { readonly envelope: DareEnvelope };

/** The frame that an envelope becomes, whoever opened it. */
export function frameOf({ envelope, payloadDigest, core }: OpenedFrame, indexRequest: number): UploadedFrame {
  const { octets } = envelope;
  return {
    indexRequest,
    octets,
    payload: envelope.payload ?? nothing,
    redacted: envelope.payload === null,
    payloadDigest,
    core,
    contentMetaData: envelope.contentMetaDataOctets,
    meta: envelope.contentMetaData ?? {},
    info: envelope.header.ContainerInfo,
    enc: envelope.header.enc,
    signatures: envelope.signatures,
    isDigestStated: envelope.payloadDigest !== undefined,
    sizeBytes: octets.header.length + (octets.payload?.length ?? 0) + (octets.trailer?.length ?? 0),
  };
}

const nothing = new Uint8Array(0);

/** A frame without body is what its digest says (S82). */
function statedDigest({ payloadDigest }: DareEnvelope): Uint8Array {
  if (payloadDigest?.length === 64) return payloadDigest;
  throw new DareError('payload-digest', 'a redacted entry states its PayloadDigest');
}

/** Errors of the lower layers, which say what is wrong with the octets; anything else is a defect of ours. */
function faultOf(error: unknown, indexRequest: number): EntryFault {
  if (error instanceof DareError && error.code === 'payload-digest') {
    return reject(indexRequest, 'payload-digest', 'PayloadDigest is not the digest of the payload');
  }
  if (error instanceof DareError || error instanceof EncodingError) {
    return reject(indexRequest, 'malformed', `entry cannot be read: ${error.message}`);
  }
  throw error;
}
