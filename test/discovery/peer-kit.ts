/** Two services of a test: ours as a host, and another one that says what the test wants, found through a DNS server. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import { PeerConnection, type PeerConnectionOptions } from '@meshd/binding/peer-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { type Authentication, authenticateRequest, reqAuthOf } from '@meshd/binding/request-authenticate';
import { decodeRequest, type ReceivedRequest } from '@meshd/binding/request-open';
import { type ResponseTicket, signResponse } from '@meshd/binding/response-sign';
import { clientNonceOf, issueTicket } from '@meshd/binding/ticket-issue';
import { type TicketKey, TicketKeyRing } from '@meshd/binding/ticket-keys';
import { TicketOpener } from '@meshd/binding/ticket-opener';
import { systemRandom } from '@meshd/crypto/random';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import { encodeTagged } from '@meshd/encoding/codec';
import { responseTableOf, type Transaction } from '@meshd/schema/protocol';
import { helloAnswer, makeIdentity, type RawAnswer, ScriptedService } from '../client/scripted-service.js';
import { at, domain, locatorAt, srv } from './discovery-kit.js';

/** Our own domain. */
export const ourDomain = 'alpha.test';
const hostName = 'host.beta.test';
const hour = 3_600_000;

/** The zone in which the other domain is at these places, the first one first. */
export const zoneAt = (...ports: number[]) => ({
  records: [...ports.map((port, priority) => srv(hostName, port, { priority })), at(hostName, '127.0.0.1')],
});

/** What a test of peers stands on. */
export class PeerBench {
  readonly dns: DnsServer;
  readonly peer: ScriptedService;
  readonly folder: string;
  /** Who we are. */
  identity: HostIdentity;
  readonly #links: PeerConnection[] = [];

  private constructor(dns: DnsServer, peer: ScriptedService, folder: string, identity: HostIdentity) {
    this.dns = dns;
    this.peer = peer;
    this.folder = folder;
    this.identity = identity;
  }

  static async start(): Promise<PeerBench> {
    const peer = await ScriptedService.start([domain]);
    const dns = await startDnsServer(zoneAt(peer.port));
    const folder = await mkdtemp(join(tmpdir(), 'meshd-peers-'));
    return new PeerBench(dns, peer, folder, await makeIdentity(folder, { domains: [ourDomain] }));
  }

  /** A new ConnectionHost for us, as each day brings one. */
  async renew(): Promise<void> {
    this.identity = await makeIdentity(this.folder, { domains: [ourDomain], nowMs: Date.now() + 1000 });
  }

  /** Our way to the other service. */
  link(options: Partial<PeerConnectionOptions> = {}): PeerConnection {
    const link = new PeerConnection({
      domain,
      locator: locatorAt(this.dns),
      host: () => this.identity,
      pins: memoryPinStore(),
      ca: this.peer.ca,
      clock: () => Date.now(),
      ...options,
    });
    this.#links.push(link);
    return link;
  }

  /** Transactions that the other service received. */
  received(): string[] {
    return this.peer.requests.map(({ base }) => base.transaction ?? '');
  }

  async stop(): Promise<void> {
    for (const link of this.#links) link.stop();
    await this.peer.stop();
    await this.dns.stop();
    await rm(this.folder, { recursive: true });
  }
}

/** A service that gives hosts tickets and takes them, until it is told to forget its keys. */
export class TicketGiver {
  readonly #peer: ScriptedService;
  /** How each request but bare and unsigned ones was authenticated, in order. */
  readonly forms: string[] = [];
  #ring = ringOf();
  readonly #opener: TicketOpener;

  constructor(peer: ScriptedService) {
    this.#peer = peer;
    this.#opener = new TicketOpener(
      () => this.#ring,
      () => peer.identity.serviceUdf,
    );
    peer.respond = (request) => this.#respond(request);
  }

  /** Tickets given until now open nothing any more. */
  forget(): void {
    this.#ring = ringOf();
  }

  async #respond(request: ReceivedRequest): Promise<RawAnswer> {
    const { identity } = this.#peer;
    const opened = decodeRequest(request);
    const options = { nowMs: Date.now(), domains: new Set([domain]), host: domain, tickets: this.#opener };
    const found = await authenticateRequest(opened, options).catch((error: { code: string }) => error);
    if ('code' in found) return this.#say(request, identity, { Status: 401, StatusExtended: 8 });
    if (found.form !== 'null') this.forms.push(`${request.base.transaction} ${found.form}`);
    if (request.base.transaction === 'Hello') {
      const members = this.#exchange(request, found, opened.request.message.Exchange);
      const script = { features: ['auth-1', 'host-1', 'ticket'], encodings: bothEncodings, members };
      return { httpStatus: 201, body: await helloAnswer(identity, request, script) };
    }
    const ticket = found.form === 'ticket' ? found.ticket : undefined;
    const prover = ticket && { id: ticket.id, serverToClient: ticket.secrets.serverToClient };
    return this.#say(request, prover ?? identity, { Status: 201 });
  }

  async #say(request: ReceivedRequest, prover: HostIdentity | ResponseTicket, members: object): Promise<RawAnswer> {
    const { payloadDigest, entries, base } = request;
    const answered = { service: base.service, payloadDigest, reqAuth: reqAuthOf(entries) };
    const table = responseTableOf(base.transaction as Transaction);
    const payload = encodeTagged(table, { ID: base.id, ...members } as never, 'json');
    return { httpStatus: 200, body: await signResponse(prover, answered, payload) };
  }

  #exchange(
    request: ReceivedRequest,
    found: Authentication,
    wish: Parameters<typeof clientNonceOf>[0] | undefined,
  ): object {
    const sealKey = this.#ring.sealing(Date.now());
    if (wish === undefined || found.form !== 'host' || sealKey === undefined) return {};
    const { identity } = this.#peer;
    const nobody = { account: ourDomain, accountUdf: '', deviceUdf: '', connectionDigest: new Uint8Array(64) };
    const Exchange = issueTicket({
      holder: {
        ...{ ...nobody, level: 'service', service: domain, features: [], signedAtMs: Date.now() },
        key: found.key.raw,
      },
      request: {
        clientNonce: clientNonceOf(wish),
        requestPayloadDigest: request.payloadDigest,
        reqAuth: reqAuthOf(request.entries),
      },
      ...{ hostKey: identity.signingKey.publicKey.raw, sealKey, serviceUdf: identity.serviceUdf, nowMs: Date.now() },
    });
    return { Exchange };
  }
}

const bothEncodings = ['application/json', 'application/json-b'];

function ringOf(): TicketKeyRing {
  const key: TicketKey = {
    ...{ keyId: systemRandom(8), key: systemRandom(32) },
    ...{ notBeforeMs: Date.now() - hour, notAfterMs: Date.now() + 48 * hour },
  };
  return new TicketKeyRing([key]);
}
