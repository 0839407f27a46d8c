import { encodeTagged } from '@meshd/encoding/codec';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { confirmationLifeMs, confirmationLifeMsMax } from '@meshd/limits/client';
import { contactCatalog, outboundSpool } from '@meshd/schema/container-name';
import { RequestConfirmation, ResponseConfirmation } from '@meshd/schema/messages-mesh';
import type { Device } from '../device.js';
import { mayRead } from '../entitlement.js';
import { ClientError } from '../errors.js';
import { readSpoolFrame } from '../message-read.js';
import { isWaiting, loadOutgoing } from '../outgoing.js';
import { ownPermissions } from '../own-permissions.js';
import { type Answer, expiryOf, isResponseTo, judgeResponses, mayConfirm, questionOf } from '../people/confirmation.js';
import { contactsOf, letAnswer, udfOf } from './contacts.js';
import { sayOfMessages } from './message-marks.js';
import { type Decision, type ListedMessage, listMessages, messageNamed, spoolReading } from './messages.js';
import { requireKnown, type SendResult, type SentMessage, sendAnswer, sendMessage } from './send-message.js';
import { syncAccount } from './sync.js';

/*
 * Confirmation (semantics 8.6): a question to somebody, answered yes or no by a device that may confirm. Both travel encrypted,
 * to people who are known.
 */

const requestTypes: ReadonlySet<string> = new Set([RequestConfirmation.name]);
const responseTypes: ReadonlySet<string> = new Set([ResponseConfirmation.name]);

const hourMs = 60 * 60 * 1000;

/** A question to somebody. */
export interface Question {
  /** Canonical. */
  readonly address: string;
  readonly text: string;
  /** How long it may be answered, at most {@link confirmationLifeMsMax}. */
  readonly lifeMs?: number | undefined;
}

/**
 * Asks somebody to confirm something.
 * @throws ClientError `entry` where the key of that person is not known, `usage` for somebody who is blocked
 */
export async function requestConfirmation(device: Device, question: Question): Promise<SendResult> {
  const { address, text, lifeMs = confirmationLifeMs } = question;
  if (lifeMs <= 0 || lifeMs > confirmationLifeMsMax) {
    throw new ClientError(
      'usage',
      `a request for confirmation holds for ${confirmationLifeMsMax / hourMs} hours at most`,
    );
  }
  await requireKnown(device, [address], RequestConfirmation.name);
  await letAnswer(device, address, ResponseConfirmation.name);
  const expires = new Date(device.session.environment.nowMs() + lifeMs);
  return sendMessage(device, {
    ...{ recipients: [address], type: RequestConfirmation.name, mayBeClear: false },
    body: (own) => encodeTagged(RequestConfirmation, { ...own, Text: text, Expires: expires }, 'json'),
  });
}

/** A question that came. */
export interface PendingConfirmation {
  readonly message: ListedMessage;
  readonly text: string;
  /** Unix milliseconds; undefined where it does not say. */
  readonly expiresMs: number | undefined;
}

/** Questions that nobody has answered yet and that may still be answered. @throws ClientError */
export async function pendingConfirmations(device: Device): Promise<PendingConfirmation[]> {
  const { messages } = await listMessages(device, 'inbound', { types: requestTypes });
  const nowMs = device.session.environment.nowMs();
  return messages
    .filter(({ decision, isDeleted, body }) => decision === undefined && !isDeleted && body !== undefined)
    .map((message) => ({ message, text: questionOf(message), expiresMs: expiryOf(message) }))
    .filter(({ expiresMs }) => expiresMs === undefined || expiresMs > nowMs);
}

/** An answer that was given. */
export interface GivenAnswer {
  readonly message: ListedMessage;
  readonly accept: boolean;
  readonly text: string;
  /** On its way; undefined where it had been sent before and only the mark was missing. */
  readonly response: SentMessage | undefined;
}

/**
 * Answers a question, once: with a copy of it, signed by this device.
 *
 * @param id of the request, or the beginning of it
 * @throws ClientError `usage` where this device may not confirm, or no such request is open
 */
export async function answerConfirmation(device: Device, id: string, accept: boolean): Promise<GivenAnswer> {
  if (!mayConfirm(ownPermissions(device.session))) {
    throw new ClientError('usage', 'this device may not confirm anything; use one that was given that right');
  }
  const pending = await pendingConfirmations(device);
  const message = messageNamed(
    pending.map((each) => each.message),
    id,
  );
  const before = await answerBefore(device, message.id);
  const given = before ?? accept;
  const response = before === undefined ? await sendResponse(device, message, accept) : undefined;
  const answered = response === undefined ? {} : { ResponseID: response.id };
  const Relationship = given ? 'Accept' : 'Reject';
  await sayOfMessages(device, [{ MessageID: message.id, ...answered, Relationship }]);
  return { message, accept: given, text: questionOf(message), response };
}

async function sendResponse(device: Device, message: ListedMessage, accept: boolean): Promise<SentMessage> {
  const { id, sender, body = {} as JsonObject, account } = message;
  return sendAnswer(device, {
    ...{ recipients: [sender], type: ResponseConfirmation.name, mayBeClear: false },
    accounts: new Map([[sender, account]]),
    body: (own) => {
      // The copy is what came, member for member, and not what this program knows of it.
      const response = { ...own, References: [{ MessageID: id }], Request: body, Accept: accept };
      return writeJson({ [ResponseConfirmation.name]: response });
    },
  });
}

/** What this account has answered already, where an earlier run was killed before it said so. */
async function answerBefore(device: Device, requestId: string): Promise<boolean | undefined> {
  const mayLook = mayRead(ownPermissions(device.session), outboundSpool);
  const sent = mayLook ? (await listMessages(device, 'outbound', { types: responseTypes })).messages : [];
  const reading = await spoolReading(device);
  const queue = (await loadOutgoing(device.session.home)).filter(isWaiting);
  const waiting = queue.filter(({ type }) => responseTypes.has(type));
  const frames = await Promise.all(waiting.map(({ envelope }) => readSpoolFrame(envelope, 0, reading)));
  const all = [...sent, ...frames.filter((frame) => frame.kind === 'message')];
  const found = all.find((response) => isResponseTo(response, requestId))?.body?.Accept;
  return typeof found === 'boolean' ? found : undefined;
}

/** A question that was asked from here, and what became of it. */
export interface AskedConfirmation {
  readonly message: ListedMessage;
  readonly text: string;
  readonly expiresMs: number | undefined;
  /** `undelivered`: it did not reach the person; `expired`: nobody has answered in time. */
  readonly state: 'waiting' | Decision | 'expired' | 'undelivered';
  readonly answer: Answer | undefined;
  /** Responses that do not count, and why. */
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
}

/**
 * The questions of this account, each with the answer that counts: by the account that was asked, by a device that may
 * confirm, about the very request, in time, and only the first.
 *
 * @throws ClientError
 */
export async function askedConfirmations(device: Device): Promise<AskedConfirmation[]> {
  const requests = (await listMessages(device, 'outbound', { types: requestTypes })).messages;
  const responses = (await listMessages(device, 'inbound', { types: responseTypes })).messages;
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const nowMs = device.session.environment.nowMs();
  const asked = requests.map((request): AskedConfirmation => {
    const contact = contacts.get(request.recipients[0] ?? '');
    const related = responses
      .filter((response) => isResponseTo(response, request.id))
      .map((response) => ({ ...response, isCounted: response.decision !== undefined }));
    const judged = judgeResponses({ request, accountUdf: contact && udfOf(contact) }, related);
    const expiresMs = expiryOf(request);
    const state = stateOf(request, judged.answer, expiresMs !== undefined && expiresMs <= nowMs);
    return { message: request, text: questionOf(request), expiresMs, state, ...judged };
  });
  await sayWhatCounts(device, asked, responses);
  return asked;
}

/** Says once of each answer that it counts: what has been confirmed stays so, also when the person is forgotten. */
async function sayWhatCounts(
  device: Device,
  asked: readonly AskedConfirmation[],
  responses: readonly ListedMessage[],
): Promise<void> {
  const fresh = asked.flatMap(({ answer }) => {
    const isSaid = responses.some(({ id, decision }) => id === answer?.id && decision !== undefined);
    if (answer === undefined || isSaid) return [];
    return [{ MessageID: answer.id, Relationship: answer.accept ? 'Accept' : 'Reject' }];
  });
  if (fresh.length > 0) await sayOfMessages(device, fresh);
}

function stateOf(
  { deliveries }: ListedMessage,
  answer: Answer | undefined,
  isExpired: boolean,
): AskedConfirmation['state'] {
  if (answer !== undefined) return answer.accept ? 'accepted' : 'rejected';
  if (deliveries.some(({ result }) => result === 'refused' || result === 'expired')) return 'undelivered';
  return isExpired ? 'expired' : 'waiting';
}

/** One of them by its identifier, or the beginning of it. @throws ClientError `usage` */
export async function askedConfirmation(device: Device, id: string): Promise<AskedConfirmation> {
  const asked = await askedConfirmations(device);
  const message = messageNamed(
    asked.map((each) => each.message),
    id,
  );
  return asked.find((each) => each.message === message) as AskedConfirmation;
}
