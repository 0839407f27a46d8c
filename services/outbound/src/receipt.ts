/**
 * The other service's word that it took responsibility for a message (S81). It is kept for the sender's devices, so it is
 * verified before: signed by a host of that service, and about this very message. A receipt that is not counts as none.
 */
import type { VerifiedHost } from '@meshd/binding/host-chain';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { coreOfFrame } from '@meshd/dare/core';
import { type EnvelopeOctets, openEnvelope, openHeader } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { parseAddress } from '@meshd/schema/address';
import { DeliveryReceipt } from '@meshd/schema/service';
import type { LeasedRow } from './carrier.js';

const receiptTags = defineTags('receipt', { DeliveryReceipt });

/** Judges the credentials of a host (S26). */
export type JudgeHost = (profileHost: EnvelopeOctets, connectionHost: EnvelopeOctets) => Promise<VerifiedHost>;

/** A receipt that proves nothing; the message says why. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError';
}

/**
 * Verifies a receipt.
 *
 * @param hostOf judges that a host speaks for the recipient's domain now; throws where it does not
 * @throws ReceiptError
 */
export async function verifyReceipt(
  receipt: EnvelopeOctets,
  row: Pick<LeasedRow, 'message' | 'payloadDigest' | 'sender' | 'recipient'>,
  hostOf: JudgeHost,
): Promise<void> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new ReceiptError(`the receipt ${why}`, { cause });
  };
  const { domain } = parseAddress(row.recipient);
  try {
    const opened = openEnvelope(receipt);
    const { value } = decodeTagged(receiptTags, opened.payload ?? new Uint8Array(0), {
      form: 'json',
      refuseRepeated: true,
    });
    if (value.Service !== domain) refuse('is of another service');
    if (value.SenderService !== parseAddress(row.sender).domain) refuse('is for another service');
    if (value.Recipient !== row.recipient) refuse('names another recipient');
    if (value.Result !== 'Accept') refuse('accepts nothing');
    if (!value.ReceiptID || value.Time === undefined) refuse('has no name or no time');
    const core = coreOfFrame(openHeader(row.message), row.payloadDigest);
    if (value.Core === undefined || !constantTimeEqual(value.Core, core)) refuse('is for another message');
    const [entry, second] = opened.signatures;
    if (entry?.Profile === undefined || entry.Connection === undefined || second !== undefined) {
      return refuse('does not say which host signed it');
    }
    const host = await hostOf(entry.Profile, entry.Connection);
    await verifyEnvelope(opened, (kid) => (kid === host.key.udf ? host.key : undefined));
  } catch (error) {
    if (error instanceof ReceiptError) throw error;
    refuse(`does not hold: ${(error as Error).message}`, error);
  }
}
