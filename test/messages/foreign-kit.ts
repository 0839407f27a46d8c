/** A provider with people, and other services beside it: real hosts of their own domains, found by DNS, that post what a test wants. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '@meshd/binding/host-files';
import { MeshConnection, type VerifiedResponse } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import type { ZoneRecord } from '@meshd/dev/dns-zone';
import type { TestProviderOptions } from '@meshd/dev/test-provider';
import type { EntryResponse } from '@meshd/schema/common';
import type { PostRequest } from '@meshd/schema/protocol';
import { type MessageDraft, messageOf } from '@meshd/shard/testing/outbox-kit';
import { entry, opening, Person, type TestDevice, TestWriter } from '@meshd/shard/testing/person';
import { makeIdentity, ScriptedService } from '../client/scripted-service.js';
import { type Member, openWire, type Wire, domain as wireDomain } from '../router/wire-kit.js';

/** Domain of the provider that is tested. */
export const domain = wireDomain;

/** Answer to a Post, and its entries. */
export type Posted = VerifiedResponse<'Post'>;

/** How a Post is authenticated; by the service's own host unless a test says otherwise. */
export interface PostOptions {
  readonly host?: HostIdentity;
  readonly useTicket?: boolean;
  readonly id?: Uint8Array;
}

/** Another service. */
export class ForeignService {
  readonly domain: string;
  /** Answers Hello as a service does, and everything else with a bare success. */
  readonly scripted: ScriptedService;
  readonly link: MeshConnection;

  constructor(name: string, scripted: ScriptedService, wire: Wire) {
    this.domain = name;
    this.scripted = scripted;
    const { url, ca } = wire.provider;
    const features = ['entry', 'receipt-1'] as const;
    this.link = new MeshConnection({ domain, url, ca, pins: memoryPinStore(), features, useTickets: true });
  }

  /** A person of that service, and her device. */
  person(name: string): Sender {
    const person = new Person(name, { address: `${name}@${this.domain}` });
    return { person, device: person.device() };
  }

  signer(host: HostIdentity = this.scripted.identity): RequestSigner {
    return { key: host.signingKey, profile: host.profileHost, connection: host.connectionHost };
  }

  post(message: PostRequest, { host, useTicket = false, id }: PostOptions = {}): Promise<Posted> {
    return this.link.call('Post', message, [this.signer(host)], { useTicket, id });
  }

  /** Posts until the provider has pinned this service: the first answer is that it has not. */
  async introduce(): Promise<void> {
    const { person, device } = this.person('herald');
    const to = [`nobody@${domain}`];
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { status, statusExtended } = await this.post({
        Accounts: to,
        Message: [draftOf({ person, device }, { to })],
      });
      if (status !== 503 || statusExtended !== 22) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`${this.domain} was not pinned`);
  }
}

/** Who writes. */
export interface Sender {
  readonly person: Person;
  readonly device: TestDevice;
}

/** A message of now; encrypted as far as anybody can see. */
export function draftOf({ person, device }: Sender, draft: MessageDraft): EnvelopeOctets {
  return messageOf(person, device, Date.now(), draft);
}

/** The provider, the other services, and the DNS that knows them. */
export interface Foreign {
  readonly wire: Wire;
  readonly dns: DnsServer;
  readonly services: readonly ForeignService[];
  /** A host that says it speaks for a domain, by the word of a service that nobody pinned. */
  thiefOf(name: string): Promise<HostIdentity>;
  /** Devices of people here. */
  readonly devices: MeshConnection;
  /** What an account here says of a person: `Address`, `AccountUDF`, `Permissions`. */
  allow(member: Member, values: Readonly<Record<string, string>>): Promise<void>;
  /** Messages in a spool, frame 0 left out. */
  spool(member: Member, name?: string): Promise<EnvelopeOctets[]>;
  stop(): Promise<void>;
}

/** Starts the provider and services of these domains. `records` are what the DNS says besides. */
export async function openForeign(
  names: readonly string[],
  options: Omit<TestProviderOptions, 'domains'> & { readonly records?: readonly ZoneRecord[] } = {},
): Promise<Foreign> {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-foreign-'));
  const scripted = await Promise.all(names.map((name) => ScriptedService.start([name])));
  const places = scripted.flatMap(({ port }, at) => placeOf(names[at] ?? '', port));
  const records = [...places, ...(options.records ?? [])];
  const dns = await startDnsServer({ records });
  const peerCaFile = join(folder, 'ca.crt');
  await writeFile(peerCaFile, scripted.map(({ ca }) => ca).join('\n'));
  const wire = await openWire({
    ...{ shardCount: 1, ...options },
    outboundSettings: {
      MESHD_DISCOVERY_SERVERS: dns.address,
      MESHD_DISCOVERY_ALLOW: '127.0.0.1',
      MESHD_PEER_CA_FILE: peerCaFile,
    },
  });
  const { url, ca } = wire.provider;
  const devices = new MeshConnection({ domain, url, ca, pins: memoryPinStore(), features: ['entry'] });
  const services = scripted.map((one, at) => new ForeignService(names[at] ?? '', one, wire));
  const contacts = new Map<Member, TestWriter>();
  return {
    ...{ wire, dns, services, devices },
    thiefOf: (name) => makeIdentity(join(folder, `thief of ${name}`), { domains: [name] }),
    allow: async (member, values) => {
      const { person, device } = member;
      const known = contacts.get(member);
      const writer = known ?? new TestWriter('mmm_Contact', person.accountUdf, device.signature);
      contacts.set(member, writer);
      const KeyValues = Object.entries(values).map(([Key, Value]) => ({ Key, Value }));
      const UniqueID = `contact-${writer.trees.log.frameCount}`;
      const frames = [...(known === undefined ? [opening()] : []), entry({ UniqueID, Event: 'New', KeyValues })];
      const Updates = [{ Container: 'mmm_Contact', Envelopes: [...writer.write(frames).envelopes] }];
      const { status } = await devices.call('Upload', { Account: person.address, Updates }, [signerOf(device)]);
      if (status !== 201) throw new Error(`contact of ${person.address}: ${status}`);
    },
    spool: async ({ person, device }, name = 'mmm_Inbound') => {
      const message = { Account: person.address, Select: [{ Container: name, IndexMin: 1 }] };
      const { message: answered } = await devices.call('Download', message, [signerOf(device)]);
      return (answered.Updates ?? []).flatMap(({ Envelopes = [] }) => Envelopes);
    },
    stop: async () => {
      for (const { link } of services) await link.close();
      await devices.close();
      await wire.stop();
      await Promise.all(scripted.map((one) => one.stop()));
      await dns.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** How a device signs. */
export const signerOf = (device: TestDevice): RequestSigner => ({
  key: device.authentication,
  connection: device.connection,
});

/** Records by which a service is found. */
export function placeOf(name: string, port: number, address = '127.0.0.1'): ZoneRecord[] {
  const data = { priority: 0, weight: 0, port, target: `host.${name}` };
  return [
    { name: `_mmm._tcp.${name}`, type: 'SRV', data },
    { name: `host.${name}`, type: 'A', data: address },
  ];
}

/** Entries as text: number, account, result. */
export function told(entries: readonly EntryResponse[] = []): string[] {
  return entries.map(({ IndexRequest, Account, Result }) => `${IndexRequest} ${Account} ${Result}`);
}

/** `UniqueID` of a message. */
export const nameOf = (octets: EnvelopeOctets): string | undefined => openEnvelope(octets).contentMetaData?.UniqueID;
