import type { Random } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { markReferencesMax } from '@meshd/limits/outbox';
import { MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import { appendMessages, type HostSigner, signObject } from '../service-frames.js';
import type { ContainerState, ContainerWrite } from '../storage/store.js';

/**
 * How a message ended for one recipient (semantics 8.1). `Sent`: the peer gives no receipts. `statusExtended` says why, where
 * there is a code for it, else 0.
 */
export type DeliveryEnd =
  | { readonly relationship: 'Received'; readonly receipt: EnvelopeOctets }
  | { readonly relationship: 'Sent' }
  | { readonly relationship: 'Reject' | 'Expired'; readonly statusExtended: number };

/** One message and recipient, and how it ended. */
export interface EndedDelivery {
  /** `UniqueID` of the message. */
  readonly messageId: string;
  readonly recipient: string;
  readonly end: DeliveryEnd;
}

/** What marks are made with. */
export interface MarkMaker {
  readonly host: HostSigner;
  readonly nowMs: number;
  readonly random: Random;
}

/**
 * Marks for `mmm_Outbound` (encoding 3.9), each telling of as many deliveries as have room in a message: a signature and a
 * frame for each would cost more than the delivery.
 *
 * @param ended at least one.
 */
export function markWrite(
  container: ContainerState,
  ended: readonly EndedDelivery[],
  { host, nowMs, random }: MarkMaker,
): ContainerWrite {
  const messages = [];
  for (let start = 0; start < ended.length; start += markReferencesMax) {
    const uniqueId = nonceUdf(random);
    const References = ended.slice(start, start + markReferencesMax).map(referenceOf);
    const signed = signObject(host, MessageComplete, { MessageID: uniqueId, References });
    messages.push({ signed, uniqueId, createdMs: nowMs });
  }
  return {
    ...appendMessages(container, messages),
    name: container.name,
    expectedFrameCount: container.frameCount,
  };
}

function referenceOf({ messageId, recipient, end }: EndedDelivery): Reference {
  const reference = { MessageID: messageId, Relationship: end.relationship, Account: recipient };
  if (end.relationship === 'Received') return { ...reference, Receipt: end.receipt };
  if (end.relationship === 'Sent' || end.statusExtended === 0) return reference;
  return { ...reference, StatusExtended: end.statusExtended };
}
