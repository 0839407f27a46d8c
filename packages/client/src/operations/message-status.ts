import { sha512 } from '@meshd/crypto/digest';
import type { Delivery as DeliveryAnswer } from '@meshd/schema/common';
import { outboundSpool } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { loadOutgoing, type WaitingMessage } from '../outgoing.js';
import { requireSuccess } from '../session.js';
import { type Delivery, findMessage, type ListedMessage } from './messages.js';

/** A delivery that has not ended, as the own service sees it. Times are Unix milliseconds. */
export interface QueuedDelivery {
  readonly attempts: number;
  /** Undefined: as soon as may be. */
  readonly nextAttemptMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** Of the last failure; undefined where there was none. */
  readonly reason: string | undefined;
}

/** One recipient, and where the message to him is. */
export interface DeliveryStatus extends Delivery {
  /** Where it is queued and the service tells more. */
  readonly queued: QueuedDelivery | undefined;
}

/** Where a message is: on this device still, or at the service and beyond. */
export type MessageStatus =
  | { readonly where: 'here'; readonly message: WaitingMessage }
  | { readonly where: 'service'; readonly message: ListedMessage; readonly deliveries: readonly DeliveryStatus[] };

/**
 * Where a message is, and why. Marks in the spool tell how deliveries ended; of those that have not, the service tells what
 * it knows (feature `delivery-1`).
 *
 * @throws ClientError `usage` where there is no such message
 */
export async function messageStatus(device: Device, id: string): Promise<MessageStatus> {
  const here = (await loadOutgoing(device.session.home)).find((message) => message.id === id);
  if (here !== undefined) return { where: 'here', message: here };
  const message = await findMessage(device, id, ['outbound', 'inbound']);
  const asked = await queuedOf(device, message);
  const isOpen = ({ result, account }: Delivery) => result === 'queued' && !asked.has(account);
  // One that ended between the two answers is in neither: its mark is there by now.
  const current = message.deliveries.some(isOpen) ? await findMessage(device, id, ['outbound']) : message;
  const deliveries = current.deliveries.map((delivery) => ({
    ...delivery,
    queued: delivery.result === 'queued' ? asked.get(delivery.account) : undefined,
  }));
  return { where: 'service', message: current, deliveries };
}

async function queuedOf(
  device: Device,
  { id, deliveries }: ListedMessage,
): Promise<ReadonlyMap<string, QueuedDelivery>> {
  const { session } = device;
  const isEnded = deliveries.every(({ result }) => result !== 'queued');
  if (isEnded || !(await session.offers('delivery-1'))) return new Map();
  const response = await session.call('Status', {
    // The service then leaves out the profile and all other containers.
    ProfileMasterDigest: sha512(session.identity.profileMesh.payload ?? new Uint8Array(0)),
    Spools: [outboundSpool],
    Deliveries: [id],
    Features: ['delivery-1'],
  });
  requireSuccess('Status', response);
  const answers = response.message.Deliveries ?? [];
  const own = answers.filter(({ Message, Account }) => Message === id && Account !== undefined);
  return new Map(own.map((answer) => [answer.Account as string, queuedDelivery(answer)]));
}

function queuedDelivery({ Attempts, Next, Expires, Reason }: DeliveryAnswer): QueuedDelivery {
  return {
    attempts: Attempts ?? 0,
    nextAttemptMs: Next?.getTime(),
    expiresMs: Expires?.getTime(),
    reason: Reason,
  };
}
