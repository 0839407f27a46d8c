/**
 * Posting octets over HTTPS and fetching some, and nothing of the Mesh: TLS 1.3, bounded time and size, no redirects.
 *
 * `Host` and the TLS server name are the domain, wherever the connection leads (semantics 2.1, S74).
 */

import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { connectMsMax, httpKeepAliveMsMax, responseBytesMax } from '@meshd/limits/limits';
import { wellKnownPath } from '@meshd/schema/features';
import { LRUCache } from 'lru-cache';
import { BindingError } from './errors.js';
import { type BodyForm, mediaTypeOf } from './media-type.js';

/** What {@link HttpsPoster} needs. */
export interface HttpsPosterOptions {
  /** Canonical domain. */
  readonly domain: string;
  /** `https` address; without a path the well-known one is taken. */
  readonly url: string;
  /** Certificates (PEM) trusted instead of the usual ones. */
  readonly ca?: string | undefined;
  /** Largest answer taken, octets. */
  readonly responseBytesMax?: number | undefined;
  /** Connections at once. */
  readonly connectionsMax?: number | undefined;
  /** A kept connection that carries nothing is closed after this, milliseconds. */
  readonly idleMs?: number | undefined;
  /** Connecting, TLS included, milliseconds. */
  readonly connectMs?: number | undefined;
}

/** An answer as HTTP gives it. */
export interface HttpAnswer {
  readonly httpStatus: number;
  readonly mediaType: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly body: Uint8Array;
}

/** Sends a body and brings the answer back; what a connection needs of the network. */
export interface Poster {
  /**
   * @param form encoding of the body, which the answer is wanted in too; JSON when absent
   * @throws BindingError `transport`, `timeout` or `response-too-large`
   */
  post(body: Uint8Array, timeoutMs: number, signal?: AbortSignal, form?: BodyForm): Promise<HttpAnswer>;
  close(): void;
}

/** What goes out: a body to the address itself, or nothing but the path of what is wanted. */
type Sending = { readonly body: Uint8Array; readonly form: BodyForm } | { readonly path: string };

/** By the certificates that are trusted, of which a process has one set or two: left to itself, every connection reads them anew. */
const contexts = new LRUCache<string, SecureContext>({ max: 16 });

function contextOf(ca: string | undefined): SecureContext {
  const name = ca ?? '';
  const context = contexts.get(name) ?? createSecureContext({ ca, minVersion: 'TLSv1.3' });
  contexts.set(name, context);
  return context;
}

/** Posts to one address, keeping connections for the next post. */
export class HttpsPoster implements Poster {
  readonly #agent: Agent;
  readonly #target: RequestOptions;
  readonly #ca: string | undefined;
  readonly #bytesMax: number;
  readonly #connectMs: number;

  /** @throws BindingError `not-https` for any other address (S28, R077) */
  constructor(options: HttpsPosterOptions) {
    const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
    if (url?.protocol !== 'https:') throw new BindingError('not-https', `not an https address: ${options.url}`);
    const { connectionsMax: maxSockets = 32, idleMs: timeout = httpKeepAliveMsMax } = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets, timeout });
    this.#ca = options.ca;
    this.#connectMs = options.connectMs ?? connectMsMax;
    this.#bytesMax = options.responseBytesMax ?? responseBytesMax;
    this.#target = {
      agent: this.#agent,
      method: 'POST',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 443 : Number(url.port),
      path: url.pathname === '/' || url.pathname === '' ? wellKnownPath : url.pathname,
      servername: options.domain,
      headers: { host: options.domain },
    };
  }

  /**
   * Posts a body and reads the whole answer.
   *
   * @throws BindingError `transport`, `timeout` or `response-too-large`
   */
  post(body: Uint8Array, timeoutMs: number, signal?: AbortSignal, form: BodyForm = 'json'): Promise<HttpAnswer> {
    return this.#within(timeoutMs, signal, { body, form });
  }

  /**
   * Fetches what lies under a path beside that of the service, and reads the whole answer.
   *
   * @throws BindingError as {@link post}
   */
  get(path: string, timeoutMs: number, signal?: AbortSignal): Promise<HttpAnswer> {
    return this.#within(timeoutMs, signal, { path });
  }

  async #within(timeoutMs: number, signal: AbortSignal | undefined, sending: Sending): Promise<HttpAnswer> {
    const expired = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? expired : AbortSignal.any([signal, expired]);
    try {
      return await this.#exchange(sending, either);
    } catch (error) {
      if (error instanceof BindingError) throw error;
      if (expired.aborted) throw new BindingError('timeout', `no answer within ${timeoutMs} ms`, { cause: error });
      throw transportError(error);
    }
  }

  #exchange(sending: Sending, signal: AbortSignal): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const secureContext = contextOf(this.#ca);
      const options = { ...this.#target, ...requestOf(sending, this.#target), secureContext, signal };
      const request = httpsRequest(options, (response) => {
        readAll(response, this.#bytesMax).then((octets) => resolve(answerOf(response, octets)), reject);
      });
      let reach: BindingError['reach'] = 'unreached';
      request.on('error', (error) => reject(signal.aborted ? error : transportError(error, reach)));
      request.once('response', () => {
        reach = undefined;
      });
      request.once('socket', (socket) => {
        if (!socket.connecting) {
          reach = request.reusedSocket ? 'stale' : undefined;
          return;
        }
        const late = setTimeout(() => request.destroy(new Error('no connection in time')), this.#connectMs);
        socket.once('secureConnect', () => {
          clearTimeout(late);
          reach = undefined;
        });
        socket.once('close', () => clearTimeout(late));
      });
      request.end('body' in sending ? sending.body : undefined);
    });
  }

  /** Closes idle and open connections. */
  close(): void {
    this.#agent.destroy();
  }
}

function requestOf(sending: Sending, { headers }: RequestOptions): RequestOptions {
  const common = headers as Record<string, string>;
  if ('path' in sending) {
    return { method: 'GET', path: sending.path, headers: { ...common, accept: mediaTypeOf.json } };
  }
  const type = mediaTypeOf[sending.form];
  const framing = { 'content-type': type, accept: type, 'content-length': sending.body.length };
  return { headers: { ...common, ...framing } };
}

async function readAll(response: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () => new BindingError('response-too-large', `the answer is larger than ${bytesMax} octets`);
  if (Number(response.headers['content-length'] ?? 0) > bytesMax) {
    response.destroy();
    throw tooLarge();
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > bytesMax) {
      response.destroy();
      throw tooLarge();
    }
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}

function answerOf(response: IncomingMessage, body: Uint8Array): HttpAnswer {
  const seconds = response.headers['retry-after'];
  return {
    httpStatus: response.statusCode ?? 0,
    mediaType: response.headers['content-type'],
    // The other form of Retry-After, a date, is never sent by services of the Mesh and would need a trusted clock.
    retryAfterMs: seconds !== undefined && /^\d{1,7}$/.test(seconds) ? Number(seconds) * 1000 : undefined,
    body,
  };
}

function transportError(error: unknown, reach?: BindingError['reach']): BindingError {
  const { code, message } = error as { code?: string; message?: string };
  const text = code === undefined ? `connection failed: ${message}` : `connection failed: ${code}: ${message}`;
  return new BindingError('transport', text, { cause: error, ...(reach === undefined ? {} : { reach }) });
}
