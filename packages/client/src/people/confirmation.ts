import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonValue } from '@meshd/encoding/json-value';
import type { Permission } from '@meshd/schema/connections';
import { accountKeys } from '../contact-entry.js';
import type { MessageFrame } from '../message-read.js';

/*
 * Confirmation (semantics 8.6): somebody asks a question, and a device that may confirm for the other account answers it. The
 * answer holds the question, and counts only if that is the very one that was asked.
 */

/** The right to confirm, as connections name it. */
export const confirmationRight = 'Confirmation';

/** Whether a device with these permissions may confirm: none at all means everything but administration (semantics 4.1). */
export function mayConfirm(permissions: readonly Permission[]): boolean {
  if (permissions.length === 0) return true;
  return permissions.some(({ Name: name, Role: role = 'write' }) => name === confirmationRight && role === 'write');
}

/** Until when a request may be answered, Unix milliseconds; undefined where it does not say. */
export function expiryOf({ body }: Pick<MessageFrame, 'body'>): number | undefined {
  const text = body?.Expires;
  const timeMs = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** What a request asks. */
export const questionOf = ({ body }: Pick<MessageFrame, 'body'>): string =>
  typeof body?.Text === 'string' ? body.Text : '';

/** An answer that counts. */
export interface Answer {
  readonly accept: boolean;
  readonly id: string;
  /** As the answering device says, Unix milliseconds. */
  readonly answeredMs: number;
}

/** What became of a request: the answer that counts, and why others do not. */
export interface Judgement {
  readonly answer: Answer | undefined;
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
}

/** A request of ours as it lies in the outbound spool, and the account that is to answer it. */
export interface Asked {
  readonly request: MessageFrame;
  /** UDF of the account; undefined where the person is in the contacts no more. */
  readonly accountUdf: string | undefined;
}

/** A response, and whether a device of the account has counted it before: then it is the answer, whoever is known by now. */
export type JudgedResponse = MessageFrame & { readonly isCounted?: boolean | undefined };

/** Whether a response is about a request at all; what it proves is another question. */
export function isResponseTo(response: MessageFrame, requestId: string): boolean {
  const embedded = memberObject(response.body?.Request);
  return embedded?.MessageID === requestId;
}

function memberObject(value: JsonValue | undefined): JsonObject | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && !(value instanceof Uint8Array) ? value : undefined;
}

/**
 * Judges the responses to a request, in the order of the spool: the first one that holds is the answer, and none after it
 * counts, whatever it says.
 */
export function judgeResponses(asked: Asked, responses: readonly JudgedResponse[]): Judgement {
  const counted = responses.find(({ isCounted }) => isCounted === true);
  let answer: Answer | undefined;
  const refused: { id: string; reason: string }[] = [];
  for (const response of responses) {
    const reason = answer === undefined && (counted ?? response) === response ? whyNot(asked, response) : isAnswered;
    if (reason !== undefined) refused.push({ id: response.id, reason });
    else answer = { accept: response.body?.Accept === true, id: response.id, answeredMs: response.createdMs };
  }
  return { answer, refused };
}

const isAnswered = 'the request has been answered before';

function whyNot(asked: Asked, response: JudgedResponse): string | undefined {
  return response.isCounted === true ? undefined : faultOf(asked, response);
}

/** Why a response does not count. */
function faultOf({ request, accountUdf }: Asked, response: MessageFrame): string | undefined {
  if (!request.recipients.includes(response.sender)) return `${response.sender} was not asked`;
  if (accountUdf === undefined) return `${response.sender} is no contact any more, so nothing says whose answer it is`;
  if (accountKeys(response.account).udf !== accountUdf) return `another account answers for ${response.sender}`;
  if (!mayConfirm(response.permissions)) return 'the device that has signed it may not confirm';
  if (typeof response.body?.Accept !== 'boolean') return 'it says neither yes nor no';
  if (!isDeepStrictEqual(response.body.Request, request.body)) return 'it answers another request than was sent';
  const expiresMs = expiryOf(request);
  if (expiresMs !== undefined && response.createdMs > expiresMs) return 'it was given after the request had expired';
  return undefined;
}
