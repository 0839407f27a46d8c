import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import { identityChanged, MessageComplete, type Reference } from '@meshd/schema/messages-mesh';
import { DeliveryReceipt } from '@meshd/schema/service';
import type { Device } from '../device.js';
import { showProgress } from '../environment.js';
import { ClientError } from '../errors.js';
import { type MessageFrame, readSpoolFrame, type SpoolFrame, type SpoolReading } from '../message-read.js';
import { loadOutgoing, type WaitingMessage } from '../outgoing.js';
import { requireReading } from '../own-permissions.js';
import { readingKey } from '../reading-key.js';
import { completeFrames } from './download.js';
import { readableReplica, syncAccount } from './sync.js';

/** What was said to a request. */
export type Decision = 'accepted' | 'rejected';

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
  /** Deleted on some device of the account; of inbound ones. */
  readonly isDeleted: boolean;
  /** What a device of the account has said to it first; of inbound ones. */
  readonly decision: Decision | undefined;
  /** Of outbound ones, one a recipient. */
  readonly deliveries: readonly Delivery[];
}

/** The service has refused a message under the address of a person whom the user knows by another account (S72). */
export interface IdentityNotice {
  /** Names the notice, which can be marked as deleted. */
  readonly id: string;
  /** Address under which was written. */
  readonly account: string;
  /** `UniqueID` of the message that was refused. */
  readonly messageId: string;
  /** When, as the service says, Unix milliseconds. */
  readonly timeMs: number | undefined;
  /** Deleted on some device of the account. */
  readonly isDeleted: boolean;
}

/** A box, read. */
export interface MessageList {
  readonly messages: readonly ListedMessage[];
  /** Of the outbound box: what the service has not taken, because it could not be reached yet or does not want it. */
  readonly unsent: readonly WaitingMessage[];
  /** Frames that prove nothing: shown to no one as a message. */
  readonly refused: readonly { readonly frameIndex: number; readonly reason: string }[];
  /** Of the inbound box, newest first: what the service tells of messages that are not in it. */
  readonly identityChanged: readonly IdentityNotice[];
}

const resultOf: Readonly<Record<string, DeliveryResult>> = {
  Received: 'delivered',
  Sent: 'sent',
  Reject: 'refused',
  Expired: 'expired',
};

/** Which messages are wanted: all where absent. Those that are not are not verified either. */
export interface MessageFilter {
  readonly types?: ReadonlySet<string> | undefined;
}

/** What reading the spools of an account needs. */
export async function spoolReading(device: Device): Promise<SpoolReading> {
  const { session } = device;
  return {
    key: readingKey(session),
    keysSinceMs: session.keys.epochs.map(({ sinceMs }) => sinceMs),
    address: session.state.address,
    formerAddresses: session.state.former,
    service: await session.serviceProfile(),
    formerServices: await session.formerServices(),
    marks: {
      accountUdf: session.identity.accountUdf,
      findWriter: await device.writers(),
      administrators: await session.administrationKeys(),
    },
  };
}

async function framesOf(device: Device, box: Box, { types }: MessageFilter): Promise<SpoolFrame[]> {
  const replica = await readableReplica(device, spools[box]);
  const { size } = replica.reader;
  if (types === undefined && size > 1) await completeFrames(device, replica, 1, size - 1);
  const reading = await spoolReading(device);
  const frames: SpoolFrame[] = [];
  for (let frameIndex = 1; frameIndex < size; frameIndex += 1) {
    const { contentMetaData: meta, payload } = openEnvelope(await replica.envelope(frameIndex));
    const type = meta?.MessageType ?? '';
    if (types !== undefined && !types.has(type) && type !== MessageComplete.name) continue;
    // What was left out of a partial replica is fetched where it is asked for, and no more than that.
    if (types !== undefined && payload === null) await completeFrames(device, replica, frameIndex, frameIndex);
    frames.push(await readSpoolFrame(await replica.envelope(frameIndex), frameIndex, reading));
    await showProgress(device.session.environment, 'verifying', frameIndex, size - 1);
  }
  return frames;
}

/** What the account's devices have said of a message. */
type MessageMarks = Pick<ListedMessage, 'isRead' | 'isDeleted' | 'decision'>;

const unmarked: MessageMarks = { isRead: false, isDeleted: false, decision: undefined };

/** What a mark makes of those before it. A decision is made once: what followed from it has happened. */
function marked(before: MessageMarks, relationship: string): MessageMarks {
  switch (relationship) {
    case 'Read':
    case 'Unread':
      return { ...before, isRead: relationship === 'Read', isDeleted: false };
    case 'Deleted':
      return { ...before, isDeleted: true };
    case 'Accept':
      return { ...before, decision: before.decision ?? 'accepted' };
    case 'Reject':
      return { ...before, decision: before.decision ?? 'rejected' };
    default:
      return before;
  }
}

/**
 * Marks of the service by message and recipient; marks of devices by message. What became of a message that came only devices
 * say: of the service's marks in that box none counts (S41).
 */
function marksOf(frames: readonly SpoolFrame[]) {
  const deliveries = new Map<string, Reference>();
  const own = new Map<string, MessageMarks>();
  for (const frame of frames) {
    if (frame.kind !== 'mark') continue;
    for (const reference of frame.references) {
      const { MessageID: id = '', Relationship: relationship = '', Account: account = '' } = reference;
      if (frame.byService) deliveries.set(`${id} ${account}`, reference);
      else own.set(id, marked(own.get(id) ?? unmarked, relationship));
    }
  }
  return { deliveries, own };
}

/** The one thing that the service says in the inbound box, newest first. */
function noticesOf(frames: readonly SpoolFrame[], own: ReadonlyMap<string, MessageMarks>): IdentityNotice[] {
  const notices = frames.flatMap((frame) => {
    if (frame.kind !== 'mark' || !frame.byService) return [];
    const { id, createdMs: timeMs, references } = frame;
    const told = references.filter(({ Relationship: relationship }) => relationship === identityChanged);
    return told.map(({ Account: account = '', MessageID: messageId = '' }) => {
      return { id, account, messageId, timeMs, isDeleted: own.get(id)?.isDeleted ?? false };
    });
  });
  return notices.reverse();
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
export async function listMessages(device: Device, box: Box, filter: MessageFilter = {}): Promise<MessageList> {
  requireReading(device, spools[box]);
  await syncAccount(device, [spools[box]]);
  const frames = await framesOf(device, box, filter);
  const { deliveries, own } = marksOf(frames);
  const messages = frames
    .filter((frame): frame is MessageFrame => frame.kind === 'message')
    .map((frame): ListedMessage => {
      const marks = frame.recipients.map((account) => deliveryOf(account, deliveries.get(`${frame.id} ${account}`)));
      return { ...frame, ...(own.get(frame.id) ?? unmarked), box, deliveries: box === 'outbound' ? marks : [] };
    });
  const refused = frames.flatMap((frame) => {
    return frame.kind === 'refused' ? [{ frameIndex: frame.frameIndex, reason: frame.reason }] : [];
  });
  const unsent = box === 'outbound' ? await loadOutgoing(device.session.home) : [];
  return { messages, unsent, refused, identityChanged: box === 'inbound' ? noticesOf(frames, own) : [] };
}

/**
 * One message by its identifier, or by the beginning of it.
 * @throws ClientError `usage` where there is none, or more than one begins so
 */
export function messageNamed<T extends { readonly id: string }>(messages: readonly T[], id: string): T {
  const exact = messages.filter((message) => message.id === id);
  const found = exact.length > 0 ? exact : messages.filter((message) => message.id.startsWith(id.toUpperCase()));
  if (found.length === 1) return found[0] as T;
  const why = found.length === 0 ? `there is no message ${id}` : `${id} means ${found.length} messages`;
  throw new ClientError('usage', `${why}; see mesh message list`);
}

/** One message of some boxes, which are brought up to date. @throws as {@link messageNamed} */
export async function findMessage(device: Device, id: string, boxes: readonly Box[]): Promise<ListedMessage> {
  const messages: ListedMessage[] = [];
  for (const box of boxes) {
    messages.push(...(await listMessages(device, box)).messages);
    const exact = messages.find((message) => message.id === id);
    if (exact !== undefined) return exact;
  }
  return messageNamed(messages, id);
}
