/**
 * People with accounts at a provider, and the requests of their devices, in every form of authentication there is: what
 * the tests of authentication and synchronisation share.
 */
import { join as joinPath } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import { HttpsPoster } from '@meshd/binding/http-client';
import { MeshConnection, type MeshConnectionOptions } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { type RequestSigner, signRequest, type TicketSigner } from '@meshd/binding/request-sign';
import { checkTicketResponse, type OpenedResponse, openResponse } from '@meshd/binding/response-open';
import { ticketIdOf, ticketSecrets } from '@meshd/binding/ticket-derivation';
import { type HeldTicket, memoryTicketStore, type TicketStore } from '@meshd/binding/ticket-hold';
import { loadTicketKeys } from '@meshd/binding/ticket-keys';
import { sealTicket, type TicketContent } from '@meshd/binding/ticket-seal';
import { systemRandom } from '@meshd/crypto/random';
import type { FrameDraft } from '@meshd/dare/batch';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { ticketKeyFolder } from '@meshd/dev/service-keys';
import { ticketMsMax } from '@meshd/limits/limits';
import { type Feature, featureWords } from '@meshd/schema/features';
import { RequestConnection } from '@meshd/schema/messages-mesh';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import {
  entry,
  opening,
  Person,
  publicMember,
  signedObject,
  type TestDevice,
  TestWriter,
  testKey,
} from '@meshd/shard/testing/person';
import { expect } from 'vitest';

/** Where a service is. */
export interface Place {
  readonly domain: string;
  readonly url: string;
  readonly ca: string;
}

/** All words that the draft's extensions have: the service answers with what it knows of them. */
export const allFeatures: readonly Feature[] = featureWords;

/** A way to a service that signs every request, unless told otherwise. */
export function linkTo(place: Place, options: Partial<MeshConnectionOptions> = {}): MeshConnection {
  const { domain, url, ca } = place;
  return new MeshConnection({ domain, url, ca, pins: memoryPinStore(), useTickets: false, form: 'json', ...options });
}

/** Profile form: a connected device. */
export const connected = (device: TestDevice): RequestSigner => ({
  key: device.authentication,
  connection: device.connection,
});

/** Device form: a device as it left its factory. */
export const unconnected = (person: Person, device: TestDevice): RequestSigner => ({
  key: testKey(`${person.name} ${device.name} base authentication`),
  profile: device.profile,
});

/** What creates the account of a person. */
export const creationOf = (person: Person) => ({
  ServiceID: person.address,
  SignedProfileMesh: person.profileMesh,
  SignedAssertionAccount: person.profileAccount,
});

/** A device of a person asks to be connected (semantics 7.2). */
export function connectionRequestOf(person: Person, device: TestDevice): EnvelopeOctets {
  const members = {
    ...{ ServiceID: person.address, EnvelopedProfileDevice: device.profile, ClientNonce: new Uint8Array(16) },
    ...{ ClientKey: publicMember(testKey('fresh')), ClientCommit: new Uint8Array(64) },
  };
  return signedObject(RequestConnection, members, testKey(`${person.name} ${device.name} device offline`));
}

/** What was answered, in short: status and extended code. */
export type Verdict = readonly [status: number, extended?: number];

/** Calls and gives the verdict. */
export async function verdictOf<T extends Transaction>(
  link: MeshConnection,
  transaction: T,
  message: RequestOf<T>,
  signers: readonly RequestSigner[],
): Promise<Verdict> {
  const { status, statusExtended } = await link.call(transaction, message, signers);
  return statusExtended === undefined ? [status] : [status, statusExtended];
}

/** A person with an account and a device that is listed. */
export interface Joined {
  readonly person: Person;
  readonly device: TestDevice;
  /** The device catalog, by the hand of the administrator. */
  readonly devices: TestWriter;
}

/** Uploads a batch in profile form. */
export function upload(
  link: MeshConnection,
  person: Person,
  device: TestDevice,
  container: string,
  envelopes: readonly EnvelopeOctets[],
) {
  const message = { Account: person.address, Updates: [{ Container: container, Envelopes: [...envelopes] }] };
  return link.call('Upload', message, [connected(device)]);
}

/** Makes the account and lists its first device. */
export async function join(link: MeshConnection, name: string): Promise<Joined> {
  const person = new Person(name, { address: `${name}@${link.domain}` });
  const device = person.device();
  const created = await link.call('CreateAccount', creationOf(person), [{ key: person.meshOffline }]);
  expect([created.status, created.description]).toEqual([201, expect.any(String)]);
  const devices = new TestWriter('mmm_Device', person.accountUdf, person.admin);
  const joined = { person, device, devices };
  await list(link, joined, device, [opening()]);
  return joined;
}

/** Lists a device in the catalog, by the first one and the administrator. */
export async function list(
  link: MeshConnection,
  { person, device: by, devices }: Joined,
  device: TestDevice,
  before: readonly FrameDraft[] = [],
): Promise<void> {
  const { envelopes } = devices.write([...before, entry({ UniqueID: device.udf, Event: 'New' }, device.entry)]);
  const { status, description } = await upload(link, person, by, 'mmm_Device', envelopes);
  expect([status, description]).toEqual([201, expect.any(String)]);
}

/**
 * Takes a device out of the catalog, by the first one and the administrator.
 *
 * @param frameIndex of the entry that lists it
 */
export async function revoke(
  link: MeshConnection,
  { person, device: by, devices }: Joined,
  device: TestDevice,
  frameIndex: number,
): Promise<void> {
  const deletion = entry({ UniqueID: device.udf, Event: 'Delete', First: frameIndex, Previous: frameIndex });
  const { status, description } = await upload(link, person, by, 'mmm_Device', devices.write([deletion]).envelopes);
  expect([status, description]).toEqual([201, expect.any(String)]);
}

/** Requests under a ticket, sent as they are: nothing is signed instead when the ticket is refused. */
export class TicketCalls {
  readonly #place: Place;
  readonly #poster: HttpsPoster;

  constructor(place: Place) {
    this.#place = place;
    this.#poster = new HttpsPoster(place);
  }

  /** One call; the answer is verified where it is MACed. */
  async call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    ticket: TicketSigner,
    service: string = this.#place.domain,
  ): Promise<{ readonly verdict: Verdict; readonly opened: OpenedResponse<T> }> {
    const { body, sent } = await signRequest<T>({
      transaction,
      message,
      service,
      nowMs: Date.now(),
      random: systemRandom,
      signers: [],
      ticket,
    });
    const answer = await this.#poster.post(body, 20_000);
    const opened = openResponse(transaction, answer.body);
    if (opened.entry.kind === 'ticket') checkTicketResponse(opened, sent);
    const { Status = 0, StatusExtended: extended } = opened.message;
    return { verdict: extended === undefined ? [Status] : [Status, extended], opened };
  }

  close(): void {
    this.#poster.close();
  }
}

/** Obtains a ticket by a signed Hello. */
export async function ticketFor(place: Place, signer: RequestSigner, features = allFeatures): Promise<HeldTicket> {
  const inner = memoryTicketStore();
  let held: HeldTicket | undefined;
  const tickets: TicketStore = {
    ...inner,
    put: (name, ticket) => {
      held = ticket;
      return inner.put(name, ticket);
    },
  };
  const link = linkTo(place, { useTickets: true, tickets, features });
  try {
    await link.obtainTicket(signer);
  } finally {
    await link.close();
  }
  if (held === undefined) throw new Error('the service gave no ticket');
  return held;
}

/**
 * A ticket such as a host would get, sealed with the provider's own keys: until hosts call (draft 9.1.2) nobody issues one.
 */
export async function hostTicket(serviceFolder: string, service: string, nowMs: number): Promise<HeldTicket> {
  const router = await loadHostIdentity(joinPath(serviceFolder, 'router'));
  const peer = await loadHostIdentity(joinPath(serviceFolder, 'outbound'));
  const sealKey = (await loadTicketKeys(joinPath(serviceFolder, ticketKeyFolder))).sealing(nowMs);
  if (sealKey === undefined) throw new Error('no ticket key is in force');
  const prk = systemRandom(64);
  const expiresMs = nowMs + ticketMsMax;
  const content: TicketContent = {
    ...{ level: 'service', issuedMs: nowMs, expiresMs, signedAtMs: nowMs, service, account: service, accountUdf: '' },
    ...{ deviceUdf: peer.udf, key: peer.signingKey.publicKey.raw, connectionDigest: new Uint8Array(64) },
    ...{ features: [], prk },
  };
  const ticket = sealTicket(sealKey, router.serviceUdf, content, systemRandom);
  const host = { key: router.signingKey.publicKey.raw, udf: router.udf, notAfterMs: router.notAfterMs };
  return { id: ticketIdOf(ticket), ticket, ...ticketSecrets(prk), expiresMs, signedAtMs: nowMs, features: [], host };
}
