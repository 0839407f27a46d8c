import type { VerifiedResponse } from '@meshd/binding/mesh-connection';
import { makeRequestId } from '@meshd/binding/request-id';
import { openEnvelope } from '@meshd/dare/envelope';
import { clockSkewMsMax } from '@meshd/limits/limits';
import { outboundSpool } from '@meshd/schema/container-name';
import { codeOfAnswer } from '@meshd/schema/status';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { clearOutgoing, isWaiting, loadOutgoing, noteFate, type WaitingMessage } from '../outgoing.js';
import { refusalText } from '../refusal-text.js';
import { requireSuccess } from '../session.js';
import { syncAccount } from './sync.js';

/** What the own service said to a message. */
export interface PostedMessage {
  readonly id: string;
  readonly recipient: string;
  /** `sent`: the service has taken responsibility for it. */
  readonly state: 'sent' | 'refused';
  /** Frame in `mmm_Outbound`. */
  readonly frameIndex: number | undefined;
  /** Why it was refused. */
  readonly reason: string | undefined;
}

/** What became of the queue. */
export interface PostedQueue {
  readonly posted: readonly PostedMessage[];
  /** Messages that are still waiting. */
  readonly waitingCount: number;
  /** Why they are; undefined where none is. */
  readonly interrupted: ClientError | undefined;
}

/** Refusals that are about the message: sent again it would be refused again. All others are about the moment. */
const finalStatuses: ReadonlySet<number> = new Set([400, 403, 404, 413, 415]);

/**
 * Sends what waits in the queue, in order. Interrupted at any point it can be called again: each message is taken by the
 * service once, with the signature that it was first sent with.
 *
 * @throws ClientError what has nothing to do with the connection
 */
export async function postMessages(device: Device): Promise<PostedQueue> {
  const { home, environment } = device.session;
  const queue = (await loadOutgoing(home)).filter(isWaiting);
  if (queue.length > 0) await requireNoEvidence(home);
  const posted: PostedMessage[] = [];
  let interrupted: ClientError | undefined;
  for (const message of queue) {
    try {
      posted.push(await postOne(device, message));
      environment.progress('sending', posted.length, queue.length);
    } catch (error) {
      if (!(error instanceof ClientError) || !['unavailable', 'refused'].includes(error.code)) throw error;
      interrupted = error;
      break;
    }
  }
  await clearOutgoing(home, environment.nowMs());
  return { posted, waitingCount: queue.length - posted.length, interrupted };
}

const isReused = ({ status, statusExtended }: VerifiedResponse<'Post'>): boolean =>
  codeOfAnswer(status, statusExtended) === 'request-id-reused';

/** @throws ClientError where its fate is still open */
async function postOne(device: Device, message: WaitingMessage): Promise<PostedMessage> {
  const { session } = device;
  const { home, environment } = session;
  const { id, recipient, attempt, envelope } = message;
  // The service knows a repetition by its ID for ten minutes; later its spool tells whether the message arrived.
  const isFresh = attempt !== undefined && environment.nowMs() - attempt.sentMs < clockSkewMsMax / 2;
  const found = attempt === undefined || isFresh ? undefined : await frameOf(device, id);
  if (found !== undefined) return taken(device, message, found);
  const requestId = isFresh ? attempt.requestId : makeRequestId(environment.nowMs(), environment.random);
  if (!isFresh) await noteFate(home, message, { attempt: { requestId, sentMs: environment.nowMs() } });
  const request = { Accounts: [recipient], Message: [envelope] };
  let response = await session.call('Post', request, [], { id: requestId });
  // An attempt of another run may have been put into other words, by another encoding for one.
  if (isReused(response)) response = await session.call('Post', request);
  const entry = response.message.Entries?.[0];
  if (response.succeeded && entry?.Result === 'Accept') return taken(device, message, entry.IndexContainer);
  const reason = reasonOf(response, recipient);
  await noteFate(home, message, { refusal: { reason, atMs: environment.nowMs() } });
  return { id, recipient, state: 'refused', frameIndex: undefined, reason };
}

async function taken(device: Device, message: WaitingMessage, frameIndex: number | undefined): Promise<PostedMessage> {
  await noteFate(device.session.home, message, 'taken');
  return { id: message.id, recipient: message.recipient, state: 'sent', frameIndex, reason: undefined };
}

/** Why the service does not take a message. @throws ClientError where it may take it later */
function reasonOf(response: VerifiedResponse<'Post'>, recipient: string): string {
  const [entry] = response.message.Entries ?? [];
  if (entry?.Result === 'Reject') return refusalText(entry.StatusExtended);
  if (!finalStatuses.has(response.status)) requireSuccess(`the message to ${recipient}`, response);
  try {
    requireSuccess(`the message to ${recipient}`, response);
  } catch (error) {
    return (error as ClientError).message;
  }
  throw new ClientError('unavailable', `the service does not say what became of the message to ${recipient}`);
}

/** The frame of a message in the spool of what was sent; undefined where the service has none. */
async function frameOf(device: Device, id: string): Promise<number | undefined> {
  await syncAccount(device, [outboundSpool]);
  const replica = await device.replica(outboundSpool);
  for (let frameIndex = replica.reader.size - 1; frameIndex > 0; frameIndex -= 1) {
    const { contentMetaData: meta } = openEnvelope(await replica.envelope(frameIndex));
    if (meta?.UniqueID === id) return frameIndex;
  }
  return undefined;
}
