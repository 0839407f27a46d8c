import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import type { Reference } from '@meshd/schema/messages-mesh';
import { DeliveryReceipt } from '@meshd/schema/service';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { type MessageFrame, readSpoolFrame, type SpoolFrame } from '../message-read.js';
import { loadOutgoing, type WaitingMessage } from '../outgoing.js';
import { readingKey } from '../reading-key.js';
import { completeFrames } from './download.js';
import { readableReplica, syncAccount } from './sync.js';

/** Where messages lie. */
export type Box = 'inbound' | 'outbound';

const receiptTags = defineTags('receipt', { DeliveryReceipt });
const spools: Readonly<Record<Box, string>> = { inbound: inboundSpool, outbound: outboundSpool };

/** What became of a message at one recipient; no mark yet: it waits. */
export type DeliveryResult = 'queued' | 'delivered' | 'sent' | 'refused' | 'expired';

/** One recipient of a message of ours. */
export interface Delivery {
  readonly account: string;
  readonly result: DeliveryResult;
  readonly statusExtended: number | undefined;
  /** When the recipient's service took it, Unix milliseconds, by its signed receipt; undefined where there is none. */
  readonly receiptMs: number | undefined;
}

/** A message with what is known of it. */
export interface ListedMessage extends MessageFrame {
  readonly box: Box;
  /** Read on some device of the account; of inbound ones. */
  readonly isRead: boolean;
  /** Of outbound ones, one a recipient. */
  readonly deliveries: readonly Delivery[];
}

/** A box, read. */
export interface MessageList {
  readonly messages: readonly ListedMessage[];
  /** Of the outbound box: what the service has not taken, because it could not be reached yet or does not want it. */
  readonly unsent: readonly WaitingMessage[];
  /** Frames that prove nothing: shown to no one as a message. */
  readonly refused: readonly { readonly frameIndex: number; readonly reason: string }[];
}

const resultOf: Readonly<Record<string, DeliveryResult>> = {
  Received: 'delivered',
  Sent: 'sent',
  Reject: 'refused',
  Expired: 'expired',
};

async function framesOf(device: Device, box: Box): Promise<SpoolFrame[]> {
  const { session } = device;
  const replica = await readableReplica(device, spools[box]);
  const { size } = replica.reader;
  if (size > 1) await completeFrames(device, replica, 1, size - 1);
  const reading = {
    key: readingKey(session),
    address: session.state.address,
    service: await session.serviceProfile(),
  };
  const frames: SpoolFrame[] = [];
  for (let frameIndex = 1; frameIndex < size; frameIndex += 1) {
    frames.push(await readSpoolFrame(await replica.envelope(frameIndex), frameIndex, reading));
  }
  return frames;
}

/** Marks of the service by message and recipient; marks of devices by message. */
function marksOf(frames: readonly SpoolFrame[]) {
  const deliveries = new Map<string, Reference>();
  const read = new Map<string, boolean>();
  for (const frame of frames) {
    if (frame.kind !== 'mark') continue;
    for (const reference of frame.references) {
      const { MessageID: id = '', Relationship: relationship = '', Account: account = '' } = reference;
      if (frame.byService) deliveries.set(`${id} ${account}`, reference);
      else if (relationship === 'Read' || relationship === 'Unread') read.set(id, relationship === 'Read');
    }
  }
  return { deliveries, read };
}

/** The own service has verified the receipt before it made the mark; what it says is for people. */
function receiptTimeOf(receipt: EnvelopeOctets): number | undefined {
  const { payload } = openEnvelope(receipt);
  return decodeTagged(receiptTags, payload ?? new Uint8Array(0), { form: 'json' }).value.Time?.getTime();
}

function deliveryOf(account: string, mark: Reference | undefined): Delivery {
  return {
    account,
    result: resultOf[mark?.Relationship ?? ''] ?? 'queued',
    statusExtended: mark?.StatusExtended,
    receiptMs: mark?.Receipt && receiptTimeOf(mark.Receipt),
  };
}

/**
 * Brings a box up to date and reads it. Of each message the proof was verified before it is shown.
 * @throws ClientError
 */
export async function listMessages(device: Device, box: Box): Promise<MessageList> {
  await syncAccount(device, [spools[box]]);
  const frames = await framesOf(device, box);
  const { deliveries, read } = marksOf(frames);
  const messages = frames
    .filter((frame): frame is MessageFrame => frame.kind === 'message')
    .map((frame): ListedMessage => {
      const marks = frame.recipients.map((account) => deliveryOf(account, deliveries.get(`${frame.id} ${account}`)));
      return { ...frame, box, isRead: read.get(frame.id) ?? false, deliveries: box === 'outbound' ? marks : [] };
    });
  const refused = frames.flatMap((frame) => {
    return frame.kind === 'refused' ? [{ frameIndex: frame.frameIndex, reason: frame.reason }] : [];
  });
  const unsent = box === 'outbound' ? await loadOutgoing(device.session.home) : [];
  return { messages, unsent, refused };
}

/**
 * One message of either box, by its identifier.
 * @throws ClientError `usage` where there is none
 */
export async function findMessage(device: Device, id: string, boxes: readonly Box[]): Promise<ListedMessage> {
  for (const box of boxes) {
    const found = (await listMessages(device, box)).messages.find((message) => message.id === id);
    if (found !== undefined) return found;
  }
  throw new ClientError('usage', `there is no message ${id}; see mesh message list`);
}
