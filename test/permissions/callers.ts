/** A provider and those who call it, in every form of authentication there is: what the tests of who may call share. */
import { join as joinPath } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import {
  connected,
  hostTicket,
  type Joined,
  join,
  linkTo,
  type Place,
  TicketCalls,
  ticketFor,
  unconnected,
  type Verdict,
  verdictOf,
} from './people.js';

/** How the caller shows who it is. */
export type Form = 'null' | 'device' | 'device ticket' | 'profile' | 'ticket' | 'host' | 'host ticket';

/** What callers are answered. */
export const verdicts = {
  ok: [201],
  nobody: [401],
  notForYou: [403, 2],
  needsAdmin: [403, 3],
  notForHosts: [403, 5],
  /** The device's request waits for somebody's answer. */
  waiting: [300, 17],
  nothing: [404],
  /** Taken as a caller; nothing was to be posted. */
  empty: [400],
  /** The Mesh's own signature is missing: nobody else's stands in for it. */
  notTheMesh: [401, 10],
} as const satisfies Record<string, Verdict>;

/** A provider of example.com, alice with a device there, and one of its own hosts. */
export class Callers {
  readonly place: Place;
  readonly link: MeshConnection;
  readonly underTicket: TicketCalls;
  readonly alice: Joined;
  readonly #provider: TestProvider;
  readonly #host: RequestSigner;
  readonly #tickets = new Map<Form, Promise<HeldTicket>>();

  private constructor(provider: TestProvider, link: MeshConnection, alice: Joined, host: RequestSigner) {
    const { domain, url, ca } = provider;
    this.place = { domain, url, ca };
    this.link = link;
    this.underTicket = new TicketCalls(this.place);
    this.alice = alice;
    this.#provider = provider;
    this.#host = host;
  }

  /** Starts the provider and lets alice in. */
  static async start(): Promise<Callers> {
    const provider = await startTestProvider({
      domains: ['example.com'],
      router: { sourceLimits: { signedRefusalsPerSecond: 1000 } },
    });
    const link = linkTo(provider);
    const alice = await join(link, 'alice');
    const identity = await loadHostIdentity(joinPath(provider.plan.serviceFolder, 'outbound'));
    const host = { key: identity.signingKey, profile: identity.profileHost, connection: identity.connectionHost };
    return new Callers(provider, link, alice, host);
  }

  /** Calls in a form, alice's where it is a person's, and gives the verdict. */
  async call<T extends Transaction>(form: Form, transaction: T, message: RequestOf<T>): Promise<Verdict> {
    if (!form.endsWith('ticket')) return verdictOf(this.link, transaction, message, this.#signersOf(form));
    return (await this.underTicket.call(transaction, message, await this.#ticketOf(form))).verdict;
  }

  async stop(): Promise<void> {
    this.underTicket.close();
    await this.link.close();
    await this.#provider.stop();
  }

  #signersOf(form: Form): RequestSigner[] {
    const { person, device } = this.alice;
    if (form === 'null') return [];
    if (form.startsWith('device')) return [unconnected(person, device)];
    return [form.startsWith('host') ? this.#host : connected(device)];
  }

  #ticketOf(form: Form): Promise<HeldTicket> {
    const obtained = () =>
      form === 'host ticket'
        ? hostTicket(this.#provider.plan.serviceFolder, this.place.domain, Date.now())
        : ticketFor(this.place, this.#signersOf(form)[0] as RequestSigner);
    const held = this.#tickets.get(form) ?? obtained();
    this.#tickets.set(form, held);
    return held;
  }
}
