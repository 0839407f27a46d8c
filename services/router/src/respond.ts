/** Writing responses to HTTP: signed, MACed, naked or unsigned (S22, S23, S32, encoding 6.4). */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type BodyForm, mediaTypeOf } from '@meshd/binding/media-type';
import type { AnsweredRequest, ResponseProver } from '@meshd/binding/response-sign';
import { ResponseStream, signResponse } from '@meshd/binding/response-sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { comeBackMs, refusedBodyLingerMs, responseStallMsMax } from '@meshd/limits/limits';
import { MeshResponse, type Response } from '@meshd/schema/common';
import { responseTableOf, type Transaction } from '@meshd/schema/protocol';
import { httpOfStatus } from '@meshd/schema/status';
import { PeerGoneError } from './body-reader.js';
import type { IssueTicket, StreamedReply } from './reply.js';

/** How the answer to a request is proved, and in which encoding it is. */
export type Proof =
  | {
      readonly kind: 'proved';
      readonly prover: ResponseProver;
      readonly request: AnsweredRequest;
      readonly form: BodyForm;
    }
  /** The request came without envelope, or could not be read, or its source used up its signed refusals. In JSON. */
  | { readonly kind: 'unsigned' };

/** What goes into the header of an answer besides its proof. */
export interface AnswerOptions {
  readonly retryAfterMs?: number | undefined;
  /** The connection cannot be used for another request. */
  readonly close?: boolean;
  /** Methods that are allowed, with 405. */
  readonly allow?: string;
}

/** A response as octets: of the declared class where the transaction is known, else `MeshResponse` (schema 2.1). */
export function encodeResponse(
  transaction: Transaction | undefined,
  message: Response,
  form: BodyForm = 'json',
): Uint8Array {
  if (transaction === undefined) return encodeTagged(MeshResponse, message, form);
  return encodeTagged<Response>(responseTableOf(transaction), message, form);
}

/** What is to be asked again says when (semantics 3), also where who refused has no better answer than "soon". */
const isForLater = (status: number): boolean => status === 429 || status === 503;

function headersOf(status: number, options: AnswerOptions, form: BodyForm = 'json'): OutgoingHttpHeaders {
  const retryAfterMs = options.retryAfterMs ?? (isForLater(status) ? comeBackMs : undefined);
  return {
    'Content-Type': mediaTypeOf[form],
    'Cache-Control': 'no-store',
    ...(status === 401 ? { 'WWW-Authenticate': 'Mesh' } : {}),
    ...(options.allow === undefined ? {} : { Allow: options.allow }),
    ...(retryAfterMs === undefined ? {} : { 'Retry-After': Math.ceil(retryAfterMs / 1000) }),
    ...(options.close === true ? { Connection: 'close' } : {}),
  };
}

/** Sends a whole answer. */
export async function sendWhole(
  http: ServerResponse,
  proof: Proof,
  transaction: Transaction | undefined,
  message: Response,
  options: AnswerOptions = {},
): Promise<void> {
  const form = proof.kind === 'proved' ? proof.form : 'json';
  const payload = encodeResponse(transaction, message, form);
  const body = proof.kind === 'proved' ? await signResponse(proof.prover, proof.request, payload, form) : payload;
  const status = message.Status ?? 500;
  http.writeHead(httpOfStatus(status), { ...headersOf(status, options, form), 'Content-Length': body.length });
  http.end(body);
}

/**
 * Sends a refusal of a body that is still coming. The connection is closed, but not at once: octets that lie unread when
 * it closes would make the peer's system throw the answer away.
 */
export function sendAndLinger(http: ServerResponse, message: Response, options: AnswerOptions = {}): void {
  const body = encodeResponse(undefined, message);
  const status = message.Status ?? 500;
  http.writeHead(httpOfStatus(status), {
    ...headersOf(status, { ...options, close: true }),
    'Content-Length': body.length,
  });
  http.write(body);
  const { req: request } = http;
  const finish = () => {
    clearTimeout(timer);
    http.end();
  };
  const timer = setTimeout(finish, refusedBodyLingerMs);
  if (request.readableEnded || request.destroyed) finish();
  else request.resume().once('end', finish).once('close', finish);
}

/**
 * Sends an answer while it is made, at the pace of the peer.
 *
 * @throws what the reply throws, and an error when the peer takes nothing or is gone; the connection is broken off
 */
export async function sendStreamed(
  http: ServerResponse,
  { prover, request, form }: Extract<Proof, { kind: 'proved' }>,
  reply: StreamedReply,
  id: Uint8Array,
  issue: IssueTicket,
): Promise<void> {
  http.writeHead(httpOfStatus(reply.status), headersOf(reply.status, {}, form));
  const stream = new ResponseStream(prover, request, (octets) => writeAtPace(http, octets), form);
  try {
    await reply.write(stream, id, issue);
    await stream.finish();
    http.end();
  } catch (error) {
    http.destroy();
    throw error;
  }
}

/**
 * Writes octets and resolves when the system has taken all of them.
 *
 * With listeners and a timer of its own: signals that watch one another cost more here than encoding what is sent.
 */
function writeAtPace(http: ServerResponse, octets: Uint8Array): Promise<void> {
  if (http.destroyed) throw new PeerGoneError('the peer is gone');
  return new Promise((resolve, reject) => {
    const end = (error?: Error | null): void => {
      clearTimeout(stalled);
      http.off('close', onClose);
      if (error) reject(error);
      else resolve();
    };
    const onClose = () => end(new PeerGoneError('the peer is gone'));
    const stalled = setTimeout(() => end(new PeerGoneError('the peer takes nothing')), responseStallMsMax);
    http.once('close', onClose);
    http.write(octets, end);
  });
}
