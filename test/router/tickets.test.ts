/** Tickets over the wire: routers, shards, Postgres, all real (S30–S33). */
import { MeshConnection, type MeshConnectionOptions } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { memoryTicketStore, ticketName } from '@meshd/binding/ticket-hold';
import { sha512 } from '@meshd/crypto/digest';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { routerSettings } from '@meshd/dev/service-settings';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { readConfig } from '@meshd/process/config';
import { startRouter } from '@meshd/router/compose';
import { routerConfigSchema } from '@meshd/router/config';
import { ProfileDevice } from '@meshd/schema/profiles';
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
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const domain = 'example.com';
let provider: TestProvider;
let person: Person;
let device: TestDevice;
let signer: RequestSigner;
const links: MeshConnection[] = [];

function connect(options: Partial<MeshConnectionOptions> = {}): MeshConnection {
  const link = new MeshConnection({ domain, url: provider.url, ca: provider.ca, pins: memoryPinStore(), ...options });
  links.push(link);
  return link;
}

beforeAll(async () => {
  provider = await startTestProvider({ domains: [domain] });
  ({ person, device } = await joined('alice'));
  signer = connected(device);
});
afterAll(async () => {
  for (const link of links) await link.close();
  await provider.stop();
});

/** Another router of the same provider: same files, same shards. */
async function secondRouter() {
  const config = readConfig(routerConfigSchema, {
    ...routerSettings(provider.plan),
    MESHD_ADMIN_LISTEN: '127.0.0.1:0',
    MESHD_LISTEN: '127.0.0.1:0',
  });
  const router = await startRouter(config, { drainMs: 0 });
  await expect.poll(async () => (await fetch(`${router.adminUrl}/readyz`)).status).toBe(200);
  return { url: `https://127.0.0.1:${router.address.port}`, stop: () => router.stop() };
}

const connected = ({ authentication, connection }: TestDevice): RequestSigner => ({ key: authentication, connection });

/** A person with an account and one listed device. */
async function joined(name: string) {
  const someone = new Person(name);
  const first = someone.device();
  const link = connect();
  const creation = {
    ServiceID: someone.address,
    SignedProfileMesh: someone.profileMesh,
    SignedAssertionAccount: someone.profileAccount,
  };
  expect((await link.call('CreateAccount', creation, [{ key: someone.meshOffline }])).status).toBe(201);
  const writer = new TestWriter('mmm_Device', someone.accountUdf, someone.admin);
  const { envelopes } = writer.write([opening(), entry({ UniqueID: first.udf, Event: 'New' }, first.entry)]);
  expect((await upload(link, someone, first, 'mmm_Device', envelopes)).status).toBe(201);
  return { person: someone, device: first, devices: writer };
}

const upload = (
  link: MeshConnection,
  someone: Person,
  by: TestDevice,
  container: string,
  envelopes: readonly EnvelopeOctets[],
) =>
  link.call('Upload', { Account: someone.address, Updates: [{ Container: container, Envelopes: [...envelopes] }] }, [
    connected(by),
  ]);

const status = (link: MeshConnection, members: object = {}) =>
  link.call('Status', { Account: person.address, ...members }, [signer]);

describe('a ticket', () => {
  it.each(['json', 'json-b'] as const)(
    '[R074] [R086] [R087] [S30] [S32] comes with the first signed request and serves the next (%s)',
    async (form) => {
      const link = connect({ form });
      const first = await status(link);
      const second = await status(link);
      expect([first.status, first.authenticatedBy, first.form]).toEqual([201, 'signature', form]);
      expect([second.status, second.authenticatedBy, second.form]).toEqual([201, 'ticket', form]);
      expect(second.message.ContainerStatus).toEqual(first.message.ContainerStatus);
    },
  );

  it('[R013] [S30] comes with a Download, at its end, and with a Hello as null transaction', async () => {
    const link = connect();
    const select = { Account: person.address, Select: [{ Container: 'mmm_Device' }] };
    const first = await link.call('Download', select, [signer]);
    const second = await link.call('Download', select, [signer]);
    expect([first.authenticatedBy, second.authenticatedBy]).toEqual(['signature', 'ticket']);
    expect(second.message.Updates).toEqual(first.message.Updates);
    const other = connect();
    expect(await other.obtainTicket(signer)).toBe(true);
    expect((await status(other)).authenticatedBy).toBe('ticket');
  });

  it('[S33] of a device that is not connected is good for no account', async () => {
    const [offline, key] = [testKey('lone offline'), testKey('lone authentication')];
    const body = { KeyOfflineSignature: publicMember(offline), KeyAuthentication: publicMember(key) };
    const lone = { key, profile: signedObject(ProfileDevice, body, offline) };
    const link = connect();
    expect(await link.obtainTicket(lone)).toBe(true);
    const asked = { ServiceID: person.address, DeviceUDF: offline.publicKey.udf };
    const complete = await link.call('Complete', asked, [lone]);
    expect([complete.status, complete.authenticatedBy]).toEqual([404, 'ticket']);
    for (const transaction of ['Status', 'Download', 'Upload'] as const) {
      const answer = await link.call(transaction, { Account: person.address }, [lone]);
      expect([transaction, answer.status, answer.authenticatedBy]).toEqual([transaction, 401, 'ticket']);
    }
  });

  it('[S33] is for its account and no other', async () => {
    const other = await joined('bob');
    const tickets = memoryTicketStore();
    const link = connect({ tickets });
    await status(link);
    const held = await tickets.get(ticketName(domain, person.address, signer));
    expect(held).toBeDefined();
    if (held !== undefined) await tickets.put(ticketName(domain, other.person.address, signer), held);
    const answer = await link.call('Status', { Account: other.person.address }, [signer]);
    expect([answer.status, answer.statusExtended, answer.authenticatedBy]).toEqual([401, undefined, 'ticket']);
  });

  it('[S31] is good at another router, and at one that was started after it was issued', async () => {
    const tickets = memoryTicketStore();
    expect((await status(connect({ tickets }))).authenticatedBy).toBe('signature');
    const second = await secondRouter();
    try {
      const answer = await status(connect({ tickets, url: second.url }));
      expect([answer.status, answer.authenticatedBy]).toEqual([201, 'ticket']);
    } finally {
      await second.stop();
    }
  });

  it('[S33] is refused within one request of the revocation of its device, at every router', async () => {
    const { person: carol, device: first, devices } = await joined('carol');
    const second = carol.device('second');
    const [link, tickets] = [connect(), memoryTicketStore()];
    const add = devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]);
    expect((await upload(link, carol, first, 'mmm_Device', add.envelopes)).status).toBe(201);
    const mine = connect({ tickets });
    const ask = (through: MeshConnection) =>
      through.call('Status', { Account: carol.address }, [connected(second)], { useTicket: true });
    expect((await ask(mine)).authenticatedBy).toBe('signature');
    expect((await ask(mine)).authenticatedBy).toBe('ticket');
    const elsewhere = await secondRouter();
    try {
      const remove = devices.write([entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 })]);
      expect((await upload(link, carol, first, 'mmm_Device', remove.envelopes)).status).toBe(201);
      const answers = await Promise.all([ask(mine), ask(connect({ tickets, url: elsewhere.url }))]);
      for (const answer of answers) expect([answer.status, answer.statusExtended]).toEqual([401, 4]);
      expect((await ask(connect())).status).toBe(401);
    } finally {
      await elsewhere.stop();
    }
  });

  it('is not given to a device that the account does not know', async () => {
    const stranger = new Person('mallory');
    const link = connect();
    const { status: refused } = await link.call('Hello', {}, [connected(stranger.device())]);
    expect(refused).toBe(401);
    expect(await link.obtainTicket(connected(stranger.device()))).toBe(false);
  });

  it('[S25] does not stand for a signature of administration', async () => {
    const link = connect();
    await status(link);
    const answer = await link.call('DeleteAccount', { Account: person.address }, [signer]);
    expect([answer.status, answer.statusExtended, answer.authenticatedBy]).toEqual([403, 3, 'signature']);
  });
});

describe('resync', () => {
  it('costs one request and less than 2 KB both ways when nothing changed', async () => {
    const link = connect();
    const { message } = await status(link);
    const ProfileMasterDigest = sha512(message.EnvelopedProfileMaster?.payload ?? new Uint8Array(0));
    const Known = message.ContainerStatus ?? [];
    expect(Known.length).toBeGreaterThan(3);
    const again = await status(link, { Known, ProfileMasterDigest });
    expect(Object.keys(again.message)).toEqual(['Status', 'StatusDescription', 'ID']);
    // With some hundred octets for the headers of HTTP.
    expect(again.bodyBytes.sent + again.bodyBytes.received).toBeLessThan(1600);
  });
});
