/** Makes the body of an answer: the right one, or what a behaviour makes of it. */
import type { HostIdentity } from '@meshd/binding/host-files';
import { type BodyForm, mediaTypeOf } from '@meshd/binding/media-type';
import { reqAuthOf } from '@meshd/binding/request-authenticate';
import { answerFormOf, type ReceivedRequest } from '@meshd/binding/request-open';
import { signResponse } from '@meshd/binding/response-sign';
import type { Random } from '@meshd/crypto/random';
import { encodeTagged } from '@meshd/encoding/codec';
import { MeshResponse, type Response } from '@meshd/schema/common';
import { responseTableOf } from '@meshd/schema/protocol';
import { httpOfStatus, statusRegistry } from '@meshd/schema/status';
import type { Behaviour, Conduct } from './behaviour.js';

/** An answer as HTTP carries it. */
export interface WireAnswer {
  readonly httpStatus: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What {@link wireAnswer} needs. */
export interface SpoilContext {
  readonly host: HostIdentity;
  readonly random: Random;
  /** Where a redirect leads when nothing else was said. */
  readonly elsewhere: string;
}

const { overloaded, 'moved-temporarily': moved } = statusRegistry;
const digestBytes = 64;

/** Behaviours that say something else than what is right, whatever was asked. */
export const answersOfItsOwn: ReadonlySet<Behaviour> = new Set([
  ...(['garbage', 'redirect', 'redirect-signed', 'busy', 'busy-unsigned'] as const),
]);

/** The answer that is sent, after it was spoiled. */
export async function wireAnswer(
  received: ReceivedRequest,
  right: Response,
  conduct: Conduct,
  context: SpoilContext,
): Promise<WireAnswer> {
  const { behaviour, retryAfterSeconds, redirectTo: place = context.elsewhere } = conduct;
  const hint: Record<string, string> = retryAfterSeconds === undefined ? {} : { 'Retry-After': `${retryAfterSeconds}` };
  const form = answerFormOf(received);
  const whole = (message: Response, options: ProofOptions = {}) => proved(received, message, form, context, options);
  switch (behaviour) {
    case 'garbage':
      // It opens as an answer does, so that it is read as one.
      return { ...unproved({}), body: Buffer.concat([Buffer.from('['), context.random(512)]) };
    case 'redirect':
      return { httpStatus: moved.status, headers: { Location: place }, body: new Uint8Array(0) };
    case 'redirect-signed':
      return whole({ Status: moved.status, StatusDescription: place });
    case 'busy':
      return whole({ Status: overloaded.status, StatusDescription: overloaded.description }, { headers: hint });
    case 'busy-unsigned':
      return { httpStatus: overloaded.http, headers: { 'Content-Type': 'text/plain', ...hint }, body: text('busy\n') };
    case 'unsigned':
      return unproved({ ...right, ...idOf(received.base.echo) }, received);
    case 'other-request':
      return whole(right, { of: 'other' });
    case 'wrong-id':
      return whole(right, { of: 'named' });
    default:
      return received.naked ? unproved({ ...right, ...idOf(received.base.echo) }, received) : whole(right);
  }
}

interface ProofOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Which request it answers: this one, another one altogether, or this one while another one is named. */
  readonly of?: 'this' | 'other' | 'named';
}

async function proved(
  received: ReceivedRequest,
  message: Response,
  form: BodyForm,
  { host, random }: SpoilContext,
  { headers, of = 'this' }: ProofOptions,
): Promise<WireAnswer> {
  const { base, entries } = received;
  const id = of === 'this' ? base.echo : random(base.echo?.length ?? 24);
  const answered =
    of === 'other'
      ? { payloadDigest: random(digestBytes), reqAuth: random(digestBytes) }
      : { payloadDigest: received.payloadDigest, reqAuth: reqAuthOf(entries) };
  const payload = encoded(received, { ...message, ...idOf(id) }, form);
  const body = await signResponse(host, { service: base.service, ...answered }, payload, form);
  const httpStatus = httpOfStatus(message.Status ?? 500);
  return { httpStatus, headers: { 'Content-Type': mediaTypeOf[form], ...headers }, body };
}

function unproved(message: Response, received?: ReceivedRequest): WireAnswer {
  const body = received === undefined ? new Uint8Array(0) : encoded(received, message, 'json');
  return { httpStatus: httpOfStatus(message.Status ?? 200), headers: { 'Content-Type': mediaTypeOf.json }, body };
}

function encoded({ base: { transaction } }: ReceivedRequest, message: Response, form: BodyForm): Uint8Array {
  if (transaction === undefined) return encodeTagged(MeshResponse, message, form);
  return encodeTagged<Response>(responseTableOf(transaction), message, form);
}

const idOf = (id: Uint8Array | undefined): Response => (id === undefined ? {} : { ID: id });
const text = (said: string): Uint8Array => Buffer.from(said);
