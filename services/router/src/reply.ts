/** What a transaction answers with, before it is signed and sent. */
import type { ResponseStream } from '@meshd/binding/response-sign';
import type { ExchangeResponse, Response } from '@meshd/schema/common';
import type { ResponseOf, Transaction } from '@meshd/schema/protocol';
import { type MeshError, type StatusCode, statusRegistry } from '@meshd/schema/status';
import type { Described } from './ticket-desk.js';

/** An answer that is small enough to be made at once. */
export interface WholeReply<T extends Transaction> {
  readonly kind: 'whole';
  /** Name of the outcome, counted in the figures. */
  readonly code: StatusCode;
  /** All members but `ID`. */
  readonly message: ResponseOf<T>;
  readonly retryAfterMs?: number | undefined;
  /** Who asked, where the shard was to say so: a ticket goes with the answer. */
  readonly described?: Described | undefined;
}

/** Gives the ticket that a request asked for, once it is known who asked; nothing where none was asked for. */
export type IssueTicket = (described: Described | undefined) => ExchangeResponse | undefined;

/** An answer that is written while it is sent. */
export interface StreamedReply {
  readonly kind: 'streamed';
  readonly code: StatusCode;
  readonly status: number;
  /**
   * Writes the payload: the tagged response in the stream's encoding, `ID` included. A failure breaks the connection off,
   * since the status has left already.
   */
  write(stream: ResponseStream, id: Uint8Array, issue: IssueTicket): Promise<void>;
}

/** Either. */
export type Reply<T extends Transaction> = WholeReply<T> | StreamedReply;

/** The members that every response has. */
export function baseOf(code: StatusCode, description?: string): Response {
  const { status, extended, description: standard } = statusRegistry[code];
  return {
    Status: status,
    ...(extended === undefined ? {} : { StatusExtended: extended }),
    StatusDescription: description ?? standard,
  };
}

/** A success, or anything else that is answered with a whole message. */
export function whole<T extends Transaction>(
  code: StatusCode,
  members: Omit<ResponseOf<T>, keyof Response>,
  options: {
    readonly description?: string;
    readonly retryAfterMs?: number;
    readonly described?: Described | undefined;
  } = {},
): WholeReply<T> {
  const message = { ...baseOf(code, options.description), ...members } as ResponseOf<T>;
  return { kind: 'whole', code, message, retryAfterMs: options.retryAfterMs, described: options.described };
}

/** A refusal as a response of any class. */
export function refusal(error: MeshError): Response {
  return baseOf(error.code, error.description);
}
