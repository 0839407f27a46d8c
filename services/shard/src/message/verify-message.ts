import { type EnvelopeOctets, isWithin } from '@meshd/dare/envelope';
import { messageBytesMax, messageCreatedFutureMsMax, messageCreatedPastMsMax } from '@meshd/limits/limits';
import { type VerifiedMessage as ProvenMessage, verifyMessage as proveMessage } from '@meshd/schema/message-check';
import { MeshError } from '@meshd/schema/status';
import { frameOf, requirePartBounds, type UploadedFrame } from '../upload/frame.js';

/** A message to others that a service may take: what it proves by itself, of a size and time that are taken (S71, S73). */
export interface VerifiedMessage extends ProvenMessage {
  /** Opened as the frame that it will become. */
  readonly frame: UploadedFrame;
}

/**
 * Verifies a message to others, whoever brings it.
 *
 * @throws MeshError `too-large`, `malformed`, `payload-digest`, `event-rule`, `manifest`, `object-signature`.
 */
export async function verifyMessage(
  octets: EnvelopeOctets,
  { nowMs }: { readonly nowMs: number },
): Promise<VerifiedMessage> {
  if (!isWithin(octets, messageBytesMax)) {
    throw new MeshError('too-large', `a message has at most ${messageBytesMax} octets`);
  }
  requirePartBounds(octets);
  const proven = await proveMessage(octets);
  const ageMs = nowMs - proven.createdMs;
  // Repetitions are remembered for longer than this (S73).
  if (ageMs > messageCreatedPastMsMax || -ageMs > messageCreatedFutureMsMax) {
    throw new MeshError('manifest', 'Created of the manifest is too far from now');
  }
  return { ...proven, frame: frameOf(proven, 0) };
}
