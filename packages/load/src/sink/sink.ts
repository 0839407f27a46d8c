/** The server of a sink: a host of its own domain, over TLS, that does as it is told. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import { domainOfHost, readMediaType } from '@meshd/binding/http-server';
import { type ReceivedRequest, receiveRequest } from '@meshd/binding/request-open';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { type CertificateFiles, ensureServerCertificate } from '@meshd/dev/certificates';
import { httpBodyBytesMax, httpKeepAliveMsMax } from '@meshd/limits/limits';
import { type Clock, systemClock } from '@meshd/process/clock';
import { formatHostPort, type HostPort } from '@meshd/process/setting';
import type { Response } from '@meshd/schema/common';
import { MeshError } from '@meshd/schema/status';
import { afterMeeting, behaviours, type Conduct, goodConduct, isMet } from './behaviour.js';
import { answersNothing, deliver, deliverNothing } from './deliver.js';
import { honestAnswer } from './honest-answer.js';
import { answersOfItsOwn, wireAnswer } from './spoil.js';
import { Tally } from './tally.js';

/** What {@link startSink} needs. */
export interface SinkOptions {
  /** Canonical domain. */
  readonly domain: string;
  /** Where its keys and certificates are, or are made. The same folder is the same service. */
  readonly folder: string;
  readonly listen: HostPort;
  /** Folder of the authority that signs its certificate; one of its own when absent. */
  readonly authority?: string | undefined;
  readonly conduct?: Conduct | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** In the certificate of a sink that shows the wrong one. */
const otherName = 'elsewhere.invalid';

/** Makes what is missing and starts to listen. @throws errors of files and sockets */
export async function startSink(options: SinkOptions): Promise<Sink> {
  const { domain, folder, listen, clock = systemClock, random = systemRandom } = options;
  const nowMs = clock();
  const service = join(folder, 'service');
  await initService(service, { nowMs, random });
  await issueHost(service, 'router', { nowMs, random, domains: [domain] });
  const authority = options.authority ?? join(folder, 'authority');
  const own = await ensureServerCertificate(authority, domain, [domain], nowMs);
  const other = await ensureServerCertificate(authority, `${domain}-wrong`, [otherName], nowMs);
  const sink = new Sink({
    ...{ domain, clock, random, caFile: own.caFile, host: await loadHostIdentity(join(service, 'router')) },
    ...{ right: await contextOf(own), wrong: await contextOf(other), conduct: options.conduct ?? goodConduct },
  });
  await sink.listen(listen);
  return sink;
}

async function contextOf({ certFile, keyFile }: CertificateFiles): Promise<SecureContext> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return createSecureContext({ cert, key, minVersion: 'TLSv1.3' });
}

interface SinkParts {
  readonly domain: string;
  readonly host: HostIdentity;
  readonly caFile: string;
  readonly right: SecureContext;
  readonly wrong: SecureContext;
  readonly conduct: Conduct;
  readonly clock: Clock;
  readonly random: Random;
}

/** Octets of the keys that TLS sessions are resumed by. */
const sessionKeyBytes = 48;

/** A sink that runs. */
export class Sink {
  readonly domain: string;
  /** Certificate of the authority that it is trusted by. */
  readonly caFile: string;
  readonly tally = new Tally();
  readonly #parts: SinkParts;
  readonly #https: HttpsServer;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();
  readonly #mute = new Set<Socket>();
  #conduct: Conduct;

  constructor(parts: SinkParts) {
    const { domain, caFile, right, wrong, conduct } = parts;
    this.#parts = parts;
    this.domain = domain;
    this.caFile = caFile;
    this.#conduct = conduct;
    const choose = () => (this.#conduct.behaviour === 'wrong-certificate' ? wrong : right);
    this.#https = createHttpsServer({
      SNICallback: (_name, done) => done(null, choose()),
      minVersion: 'TLSv1.3',
      // As long as our own services: a peer that keeps connections must be able to.
      keepAliveTimeout: httpKeepAliveMsMax,
    });
    this.#https.on('request', (incoming, http) => void this.#serve(incoming, http).catch(() => http.destroy()));
    this.#https.on('tlsClientError', () => this.tally.failedHandshake());
    // In front of TLS, so that a connection can be left without a word of it.
    this.#tcp = createServer((socket) => this.#accept(socket));
  }

  /** Begins to take connections. */
  async listen({ host, port }: HostPort): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once('error', reject);
      this.#tcp.listen(port, host, resolve);
    });
  }

  /** Where it listens. */
  get address(): HostPort {
    const { address: host, port } = this.#tcp.address() as { address: string; port: number };
    return { host, port };
  }

  /** How it behaves now. */
  get conduct(): Conduct {
    return this.#conduct;
  }

  /** Behaves otherwise from now on. Connections that carry nothing are closed, those that were left waiting too. */
  behave(conduct: Conduct): void {
    this.#conduct = conduct;
    for (const socket of this.#mute) socket.destroy();
    this.#https.closeIdleConnections();
    // Who is connected has seen the right certificate and would not look again.
    if (conduct.behaviour === 'wrong-certificate') for (const socket of this.#sockets) socket.destroy();
    // A resumed session is shown no certificate.
    this.#https.setTicketKeys(randomBytes(sessionKeyBytes));
  }

  #accept(socket: Socket): void {
    this.tally.connection();
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#mute.delete(socket);
    });
    if (this.#conduct.behaviour === 'mute' || this.#conduct.behaviour === 'wrong-certificate') this.#meet();
    if (this.#conduct.behaviour === 'mute') this.#mute.add(socket);
    else this.#https.emit('connection', socket);
  }

  #meet(): void {
    this.tally.meeting();
    this.#conduct = afterMeeting(this.#conduct);
  }

  async #serve(incoming: IncomingMessage, http: ServerResponse): Promise<void> {
    const { random, host } = this.#parts;
    const received = await this.#receive(incoming);
    const { transaction } = received.base;
    this.tally.request(transaction);
    const isAwkward = isMet(this.#conduct, transaction);
    const conduct = isAwkward ? this.#conduct : goodConduct;
    const { behaviour } = conduct;
    if (isAwkward) this.#meet();
    if (answersNothing.has(behaviour)) return deliverNothing(http, behaviour, random);
    const right = answersOfItsOwn.has(behaviour) ? {} : await this.#right(received, conduct, incoming);
    const elsewhere = `https://${this.domain}/elsewhere`;
    await deliver(http, await wireAnswer(received, right, conduct, { host, random, elsewhere }), behaviour);
  }

  async #receive(incoming: IncomingMessage): Promise<ReceivedRequest> {
    const form = readMediaType(incoming.headers);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of incoming as AsyncIterable<Uint8Array>) {
      bytes += part.length;
      if (bytes > httpBodyBytesMax) throw new MeshError('too-large', 'the body is larger than any request');
      parts.push(part);
    }
    return receiveRequest(Buffer.concat(parts), form);
  }

  /** What should be answered; refusals are answers. */
  async #right(received: ReceivedRequest, { behaviour }: Conduct, incoming: IncomingMessage): Promise<Response> {
    const { host, domain, clock, random } = this.#parts;
    const { takes } = behaviours[behaviour];
    try {
      return await honestAnswer(received, {
        ...{ host, domain, random, nowMs: clock(), hostName: domainOfHost(incoming.headers.host) },
        accepts: takes,
        ...(behaviour === 'old' ? { without: 'auth-1' } : {}),
        onMessage: (message, recipient) => this.tally.message(message, recipient, takes, clock()),
      });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.tally.refusal();
      const { status, extended, description } = error;
      const code = extended === undefined ? {} : { StatusExtended: extended };
      return { Status: status, ...code, StatusDescription: description };
    }
  }

  /** Ends all connections and the listening. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#tcp.close(resolve));
  }

  /** `https://address:port`. */
  get url(): string {
    return `https://${formatHostPort(this.address)}`;
  }
}
