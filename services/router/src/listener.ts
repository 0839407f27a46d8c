/**
 * The TLS listener: TLS 1.3, HTTP/1.1, no client certificates, two well-known services on one port (semantics 2.2, R043).
 *
 * Requests of the Mesh service go to a raw handler; what is around it is express. `h2` is not offered in ALPN, so that
 * clients that can speak it fall back to HTTP/1.1 without noise (R051).
 */

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { pathOf, publicationPathPrefix, servicePaths } from '@meshd/binding/http-server';
import {
  connectionsMax,
  httpBodyMsMax,
  httpHeaderBytesMax,
  httpHeadersMsMax,
  httpKeepAliveMsMax,
  httpLateCheckMs,
  refusedBodyLingerMs,
  tlsHandshakeMsMax,
} from '@meshd/limits/limits';
import type { HostPort } from '@meshd/process/setting';
import { MeshError } from '@meshd/schema/status';
import express from 'express';
import type { RouterMetrics } from './metrics.js';
import { refusal } from './reply.js';
import { encodeResponse, sendAndLinger } from './respond.js';

/** What {@link startListener} needs. */
export interface ListenerOptions {
  readonly listen: HostPort;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Serves a POST to the Mesh service. */
  readonly serve: (request: IncomingMessage, http: ServerResponse) => Promise<void>;
  /** Serves a GET of a publication. */
  readonly publish: (request: IncomingMessage, identifier: string, http: ServerResponse) => Promise<void>;
  readonly metrics: RouterMetrics;
  /** Says of a new connection why it is closed at once; undefined: it is taken. */
  readonly admitConnection?: (connection: Socket) => string | undefined;
  /** Told of who did not bring his headers in time. */
  readonly onLate?: (remoteAddress: string | undefined) => void;
  /** Looks at every request first; the MeshError that it throws is the answer. */
  readonly admit?: (headers: IncomingHttpHeaders) => void;
  /** Time for a handshake, for tests that cannot wait. */
  readonly handshakeMs?: number;
}

/** A listener that runs. */
export interface Listener {
  readonly address: HostPort;
  /** Takes another certificate for connections to come. */
  setCertificate(certificate: Buffer, key: Buffer): void;
  /** Stops taking connections, lets open exchanges end, closes connections on which nothing is asked (yet). */
  drain(): Promise<void>;
}

/** What the HTTP parser calls it that headers did not come in time. */
const lateHeaders = 'ERR_HTTP_REQUEST_TIMEOUT';

/**
 * Starts listening.
 *
 * @throws the socket's error when the address cannot be had
 */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const around = aroundApplication(options.publish, options.metrics);
  const connections = new OpenConnections();
  const server = createServer(
    {
      cert: options.certificate,
      key: options.key,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      requestCert: false,
      handshakeTimeout: options.handshakeMs ?? tlsHandshakeMsMax,
      maxHeaderSize: httpHeaderBytesMax,
      headersTimeout: httpHeadersMsMax,
      requestTimeout: httpHeadersMsMax + httpBodyMsMax,
      keepAliveTimeout: httpKeepAliveMsMax,
      connectionsCheckingInterval: httpLateCheckMs,
      // Readers that disagree about where a request ends are how requests are smuggled (R061).
      insecureHTTPParser: false,
    },
    (request, http) => {
      connections.asked(request.socket, http);
      // Writing to a peer that has just gone is its affair; without a listener it would be the end of the process.
      http.on('error', () => options.metrics.broken.inc());
      const refused = refusalOf(request, options);
      if (refused !== undefined) refuse(http, refused, options.metrics);
      else if (request.method === 'POST' && servicePaths.has(pathOf(request.url))) void options.serve(request, http);
      else around(request, http);
    },
  );
  server.maxConnections = connectionsMax;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.destroyed) return;
    if (error.code === lateHeaders) options.onLate?.((socket as Socket).remoteAddress);
    refuseConnection(error, socket, options.metrics);
  });
  // Before TLS looks at it.
  server.prependListener('connection', (connection: Socket) => {
    const reason = options.admitConnection?.(connection);
    if (reason === undefined) {
      connections.begun(connection);
      return;
    }
    options.metrics.connectionsRefused.inc({ reason });
    connection.destroy();
  });
  // Before the server tells of it as an error of a client. There is no word for who has not finished the handshake: octets
  // written now would wait for its end, and the connection with them for ever.
  server.prependListener('tlsClientError', (_error, socket: TLSSocket) => {
    options.metrics.connectionsRefused.inc({ reason: 'tls' });
    socket.destroy();
  });
  server.on('secureConnection', (connection: TLSSocket) => connections.opened(connection));
  server.on('drop', () => options.metrics.connectionsRefused.inc({ reason: 'connections' }));
  await listen(server, options.listen);
  return {
    address: { host: options.listen.host, port: (server.address() as AddressInfo).port },
    setCertificate: (cert, key) => server.setSecureContext({ cert, key, minVersion: 'TLSv1.3' }),
    drain: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        connections.drain();
      }),
  };
}

/**
 * Connections, and whether something is asked on them. The server's own idea of idle ones leaves out those on which nothing,
 * or half a header, has come; and once it is closing it no longer looks whose headers are late.
 */
class OpenConnections {
  /** Those whose handshake goes on, by address and port of the peer: TLS makes a socket of its own of each. */
  readonly #handshaking = new Map<string, Socket>();
  /** With the answers that each of them awaits, in the order in which they go out. */
  readonly #awaited = new Map<Socket, Set<ServerResponse>>();
  #draining = false;

  begun(connection: Socket): void {
    const peer = peerOf(connection);
    this.#handshaking.set(peer, connection);
    connection.once('close', () => {
      if (this.#handshaking.get(peer) === connection) this.#handshaking.delete(peer);
    });
  }

  opened(connection: Socket): void {
    this.#handshaking.delete(peerOf(connection));
    this.#awaited.set(connection, new Set());
    connection.once('close', () => this.#awaited.delete(connection));
  }

  asked(connection: Socket, http: ServerResponse): void {
    if (this.#draining) sayLast(http);
    const awaited = this.#awaited.get(connection);
    awaited?.add(http);
    http.once('close', () => {
      awaited?.delete(http);
      if (this.#draining && awaited?.size === 0) connection.destroySoon();
    });
  }

  /** Closes those on which nothing is asked, the others when they are answered, as the last answer says. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#handshaking.values()) connection.destroy();
    for (const [connection, awaited] of this.#awaited) {
      const last = [...awaited].at(-1);
      if (last === undefined) connection.destroy();
      else sayLast(last);
    }
  }
}

/** The peer is not to ask again on this connection; of an answer that has begun only its end tells. */
function sayLast(http: ServerResponse): void {
  if (!http.headersSent) http.setHeader('Connection', 'close');
}

const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

function listen(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function refusalOf({ headers }: IncomingMessage, { admit }: ListenerOptions): MeshError | undefined {
  try {
    admit?.(headers);
    return undefined;
  } catch (error) {
    return error instanceof MeshError ? error : new MeshError('internal', '', { cause: error });
  }
}

/** Answers without having looked at the body. */
function refuse(http: ServerResponse, error: MeshError, metrics: RouterMetrics, allow?: string): void {
  metrics.requests.inc({ transaction: 'none', code: error.code });
  sendAndLinger(http, refusal(error), allow === undefined ? {} : { allow });
}

/** Everything but a POST to the Mesh service. */
function aroundApplication(publish: ListenerOptions['publish'], metrics: RouterMetrics): express.Express {
  const application = express();
  application.disable('x-powered-by');
  application.disable('etag');
  const refusing = (code: 'method' | 'not-found', allow?: string) => {
    return (_request: express.Request, response: express.Response) =>
      refuse(response, new MeshError(code), metrics, allow);
  };
  application.all([...servicePaths], refusing('method', 'POST'));
  // Publications are a service of their own (semantics 7.6).
  application.get(`${publicationPathPrefix}:identifier`, (request, response) => {
    void publish(request, request.params.identifier, response);
  });
  application.all(`${publicationPathPrefix}:identifier`, refusing('method', 'GET'));
  application.use(refusing('not-found'));
  // A target that cannot be decoded; express would answer in its own words and print the error.
  const unreadable: express.ErrorRequestHandler = (_error, request, response, _next) => {
    refusing('not-found')(request, response);
  };
  application.use(unreadable);
  return application;
}

/** Answers what the HTTP parser refused; there is no request object, so the answer is written by hand. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex, metrics: RouterMetrics): void {
  metrics.connectionsRefused.inc({ reason: error.code ?? 'unknown' });
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const fault = error.code === lateHeaders ? new MeshError('timeout') : new MeshError('malformed', 'HTTP');
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : fault.status;
  const body = encodeResponse(undefined, { ...refusal(fault), Status: status });
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'Content-Type: application/json',
    'Cache-Control: no-store',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
  // A peer that does not close its end would keep the connection.
  const lingering = setTimeout(() => socket.destroy(), refusedBodyLingerMs);
  socket.once('close', () => clearTimeout(lingering));
}
