import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { DeliveryReceipt } from '@meshd/schema/service';
import { type HostSigner, signEnvelopeOf } from '../service-frames.js';

/** What a receipt says. */
export interface ReceiptFields {
  /** Domain of the recipient, and of the sender. */
  readonly service: string;
  readonly senderService: string;
  readonly recipient: string;
  readonly core: Uint8Array;
  readonly receiptId: string;
  /** When the message was taken, Unix time in milliseconds. */
  readonly timeMs: number;
}

/**
 * The service's word that it took responsibility for a message (S81): not that it was filed, nor that anybody read it. The same
 * for a name that nobody has.
 */
export function makeReceipt(host: HostSigner, fields: ReceiptFields): Promise<EnvelopeOctets> {
  return signEnvelopeOf(host, DeliveryReceipt, {
    Service: fields.service,
    SenderService: fields.senderService,
    Recipient: fields.recipient,
    Core: fields.core,
    ReceiptID: fields.receiptId,
    Time: new Date(fields.timeMs),
    Result: 'Accept',
  });
}
