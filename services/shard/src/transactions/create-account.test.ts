import { verifyHost, verifyService } from '@meshd/binding/host-chain';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged } from '@meshd/encoding/codec';
import { ProfileAccount } from '@meshd/schema/profiles';
import { recordRegistry } from '@meshd/schema/service';
import { beforeEach, describe, expect, test } from 'vitest';
import { serviceAddress } from '../storage/store.js';
import { Person, publicMember, signedObject, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { createAccount } from './create-account.js';
import { deleteAccount } from './delete-account.js';

let shard: TestShard;
let alice: Person;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
});

const accountRecords = () =>
  shard.store.framesOf(serviceAddress, 'mmm_Account').map((frame) => openEnvelope({ ...frame }));

describe('CreateAccount', () => {
  test('[R289] [R293] makes the account with its three spools, each of one frame', async () => {
    expect(await shard.create(alice)).toEqual({ status: 201 });
    const containers = [...(shard.store.stateOf(alice.address)?.containers.values() ?? [])];
    expect(containers.map(({ name, kind, frameCount, legacy }) => [name, kind, frameCount, legacy])).toEqual([
      ['mmm_Inbound', 'spool', 1, false],
      ['mmm_Outbound', 'spool', 1, false],
      ['mmm_Archive', 'spool', 1, false],
    ]);
  });

  test('[R267] [S61] what it may hold is limited without anybody saying so: 1 GiB and a million frames', async () => {
    await shard.create(alice);
    expect(shard.store.stateOf(alice.address)?.quota).toEqual({ bytesMax: 1_073_741_824, framesMax: 1_000_000 });
  });

  test('[R291] the same request again changes nothing, under its ID or another', async () => {
    const request = await alice.createRequest(shard.nowMs);
    expect(await createAccount(shard.context, alice.address, request)).toEqual({ status: 201 });
    expect(await createAccount(shard.context, alice.address, request)).toEqual({ status: 201 });
    expect(await shard.create(alice)).toEqual({ status: 201 });
    expect(accountRecords()).toHaveLength(2);
  });

  test('[S27] an ID that was used for another request is refused', async () => {
    const { signRequest } = await import('@meshd/binding/request-sign');
    const { readEnvelope } = await import('@meshd/dare/envelope');
    const { makeRequestId } = await import('@meshd/binding/request-id');
    const id = makeRequestId(shard.nowMs, systemRandom);
    const ask = async (person: Person) => {
      const { body } = await signRequest({
        transaction: 'CreateAccount',
        message: {
          ServiceID: person.address,
          SignedProfileMesh: person.profileMesh,
          SignedAssertionAccount: person.profileAccount,
        },
        service: 'example.com',
        nowMs: shard.nowMs,
        random: systemRandom,
        signers: [{ key: person.meshOffline }],
        id,
      });
      return createAccount(shard.context, person.address, readEnvelope(body));
    };
    await ask(alice);
    const changed = new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') });
    await expect(ask(changed)).rejects.toMatchObject({ code: 'request-id-reused' });
  });

  test('[S25] newer profiles of the same Mesh replace the stored ones, older ones are refused', async () => {
    await shard.create(alice);
    const newer = new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') });
    expect(await shard.create(newer)).toEqual({ status: 202 });
    expect(shard.store.stateOf(alice.address)?.profileMesh.payload).toEqual(newer.profileMesh.payload);
    await expect(shard.create(alice)).rejects.toMatchObject({ code: 'profile-older' });
  });

  test('[R291] another Mesh finds the name taken', async () => {
    await shard.create(alice);
    const mallory = new Person('mallory', { address: alice.address });
    await expect(shard.create(mallory)).rejects.toMatchObject({ code: 'name-taken' });
  });

  test('the account of the same Mesh with another ProfileAccount stays what it is', async () => {
    await shard.create(alice);
    const other = testKey('other account');
    const profileAccount = signedObject(
      ProfileAccount,
      {
        Updated: new Date('2026-03-01T00:00:00Z'),
        KeyOfflineSignature: publicMember(other),
        ServiceIDs: [alice.address],
        MeshProfileUDF: alice.meshOffline.publicKey.udf,
      },
      other,
      alice.admin,
    );
    const message = {
      ServiceID: alice.address,
      SignedProfileMesh: alice.profileMesh,
      SignedAssertionAccount: profileAccount,
    };
    const request = await alice.request('CreateAccount', message, [{ key: alice.meshOffline }], shard.nowMs);
    await expect(createAccount(shard.context, alice.address, request)).rejects.toMatchObject({ code: 'name-taken' });
  });

  test('registration is closed to strangers, who learn nothing of who has an account', async () => {
    await shard.create(alice);
    shard.registration = 'closed';
    const mallory = new Person('mallory', { address: alice.address });
    await expect(shard.create(mallory)).rejects.toMatchObject({ code: 'registration-closed' });
    await expect(shard.create(new Person('bob'))).rejects.toMatchObject({ code: 'registration-closed' });
    expect(await shard.create(new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') }))).toEqual({
      status: 202,
    });
  });

  test('[R290] [R226] names: missing, foreign domain, characters, length, reserved', async () => {
    const create = async (address: string, message = {}) => {
      const person = new Person('eve', { address });
      const whole = {
        ServiceID: address,
        SignedProfileMesh: person.profileMesh,
        SignedAssertionAccount: person.profileAccount,
        ...message,
      };
      const request = await person.request('CreateAccount', whole, [{ key: person.meshOffline }], shard.nowMs);
      return createAccount(shard.context, address.toLowerCase(), request);
    };
    await expect(create('eve@example.com', { ServiceID: undefined })).rejects.toMatchObject({ code: 'malformed' });
    await expect(create('eve@example.org')).rejects.toMatchObject({ code: 'domain-not-served' });
    await expect(create('e/v\u0001e@example.com')).rejects.toMatchObject({ code: 'account-name', detail: /\// });
    await expect(create('../eve@example.com')).rejects.toMatchObject({ code: 'account-name' });
    await expect(create(`${'e'.repeat(65)}@example.com`)).rejects.toMatchObject({ code: 'account-name' });
    await expect(create('\u0435ve@example.com')).rejects.toMatchObject({ code: 'account-name' });
    await expect(create('postmaster@example.com')).rejects.toMatchObject({ code: 'account-name' });
    expect(await create('Eve@Example.com')).toEqual({ status: 201 });
  });

  test('[S24] the shard verifies the whole request itself', async () => {
    const request = await alice.createRequest(shard.nowMs);
    const trailer = openEnvelope(request).trailer;
    const forged = { ...request, trailer: null };
    await expect(createAccount(shard.context, alice.address, forged)).rejects.toMatchObject({ status: 401 });
    expect(trailer.signatures).toHaveLength(1);
    const mallory = new Person('mallory');
    const message = {
      ServiceID: alice.address,
      SignedProfileMesh: alice.profileMesh,
      SignedAssertionAccount: alice.profileAccount,
    };
    const foreign = await alice.request('CreateAccount', message, [{ key: mallory.meshOffline }], shard.nowMs);
    await expect(createAccount(shard.context, alice.address, foreign)).rejects.toMatchObject({ status: 401 });
  });

  test('[R305] an assertion of another Mesh, or for another address, is refused', async () => {
    const bob = new Person('bob');
    const ask = async (profileAccount: EnvelopeOctets) => {
      const message = {
        ServiceID: alice.address,
        SignedProfileMesh: alice.profileMesh,
        SignedAssertionAccount: profileAccount,
      };
      const request = await alice.request('CreateAccount', message, [{ key: alice.meshOffline }], shard.nowMs);
      return createAccount(shard.context, alice.address, request);
    };
    await expect(ask(bob.profileAccount)).rejects.toMatchObject({ code: 'object-signature' });
    const elsewhere = new Person('alice', { address: 'alice2@example.com' });
    await expect(ask(elsewhere.profileAccount)).rejects.toMatchObject({ code: 'object-signature' });
  });

  test('the request must name the account by which it was routed', async () => {
    const request = await alice.createRequest(shard.nowMs);
    await expect(createAccount(shard.context, 'bob@example.com', request)).rejects.toMatchObject({ code: 'malformed' });
  });
});

describe('DeleteAccount', () => {
  const deleteRequest = (person: Person, administrator?: Parameters<Person['request']>[2][number]) => {
    const device = person.device();
    const signers = [
      { key: device.authentication, connection: device.connection },
      ...(administrator === undefined ? [] : [administrator]),
    ];
    return person.request('DeleteAccount', { Account: person.address }, signers, shard.nowMs);
  };

  beforeEach(async () => {
    await shard.join(alice, alice.device());
  });

  test('[R296] [R298] removes the account; the retry is answered, all else is not', async () => {
    const request = await deleteRequest(alice, { key: alice.admin });
    expect(await deleteAccount(shard.context, alice.address, request)).toEqual({ status: 201 });
    expect(shard.store.stateOf(alice.address)).toBeUndefined();
    expect(await deleteAccount(shard.context, alice.address, request)).toEqual({ status: 201 });
    const again = await deleteRequest(alice, { key: alice.admin });
    await expect(deleteAccount(shard.context, alice.address, again)).rejects.toMatchObject({
      code: 'not-authenticated',
    });
    await expect(shard.upload(alice.device(), [])).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('[S25] without an administrator’s signature in the request it is refused', async () => {
    const bare = await deleteRequest(alice);
    await expect(deleteAccount(shard.context, alice.address, bare)).rejects.toMatchObject({
      code: 'administrator-required',
    });
    const foreign = await deleteRequest(alice, { key: testKey('mallory') });
    await expect(deleteAccount(shard.context, alice.address, foreign)).rejects.toMatchObject({
      code: 'administrator-required',
    });
    const offline = await deleteRequest(alice, { key: alice.meshOffline });
    expect(await deleteAccount(shard.context, alice.address, offline)).toEqual({ status: 201 });
  });

  test('[S25] [S33] under a ticket it is refused: the bearer is told to sign', async () => {
    const { makeEnvelope, openEnvelope } = await import('@meshd/dare/envelope');
    const signed = openEnvelope(await deleteRequest(alice, { key: alice.admin }));
    const [own] = signed.signatures;
    const ticketed = { alg: 'HS512-REQ1', kid: 'NAAA', Ticket: new Uint8Array(300), signature: new Uint8Array(64) };
    for (const signatures of [[ticketed], [{ ...own, ...ticketed }]]) {
      const { header, payload } = signed;
      const request = makeEnvelope({ header, payload, trailer: { ...signed.trailer, signatures } });
      const refused = deleteAccount(shard.context, alice.address, request);
      await expect(refused).rejects.toMatchObject({ status: 401 });
    }
    expect(shard.store.stateOf(alice.address)).toBeDefined();
  });

  test('[S24] a principal that the router makes up is refused by the shard', async () => {
    const mallory = new Person('mallory');
    const device = mallory.device();
    const signers = [{ key: device.authentication, connection: device.connection }, { key: mallory.admin }];
    const request = await mallory.request('DeleteAccount', { Account: alice.address }, signers, shard.nowMs);
    await expect(deleteAccount(shard.context, alice.address, request)).rejects.toMatchObject({
      code: 'not-authenticated',
    });
  });

  test('[S44] [S49] the name is not free for others, nor the old log for the name', async () => {
    const logOf = () => shard.store.stateOf(alice.address)?.containers.get('mmm_Inbound')?.logId;
    const before = logOf();
    await deleteAccount(shard.context, alice.address, await deleteRequest(alice, { key: alice.admin }));
    await expect(shard.create(alice)).rejects.toMatchObject({ code: 'name-taken' });
    shard.nowMs += 2_000_000;
    await shard.create(alice);
    expect(logOf()).toHaveLength(32);
    expect(logOf()).not.toEqual(before);
  });
});

describe('the records of the service', () => {
  test('[S26] [R029] an account entry is signed by the host and follows the account’s life', async () => {
    await shard.join(alice, alice.device());
    await shard.create(new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') }));
    const device = alice.device();
    const signers = [{ key: device.authentication, connection: device.connection }, { key: alice.admin }];
    const request = await alice.request('DeleteAccount', { Account: alice.address }, signers, shard.nowMs);
    await deleteAccount(shard.context, alice.address, request);
    const records = accountRecords().slice(1);
    expect(records.map(({ contentMetaData }) => contentMetaData)).toMatchObject([
      { UniqueID: alice.address, Event: 'New', MessageType: 'AccountEntry' },
      { UniqueID: alice.address, Event: 'Update', First: 1, Previous: 1 },
      { UniqueID: alice.address, Event: 'Delete', First: 1, Previous: 2 },
    ]);
    for (const record of records) {
      const entry = record.signatures[0];
      const service = await verifyService(shard.host.profileService);
      const profile = entry?.Profile as EnvelopeOctets;
      const host = await verifyHost(service, profile, entry?.Connection as EnvelopeOctets, 'example.com', shard.nowMs);
      const { envelope } = await verifyEnvelope(record, (kid) => (kid === host.key.udf ? host.key : undefined));
      const { tag, value } = decodeTagged(recordRegistry, envelope.payload, { form: 'json' });
      expect([tag, value]).toMatchObject(['AccountEntry', { ServiceID: alice.address }]);
    }
  });

  test('[R030] a deletion leaves a report in the incident spool', async () => {
    await shard.join(alice, alice.device());
    const device = alice.device();
    const signers = [{ key: device.authentication, connection: device.connection }, { key: alice.admin }];
    const request = await alice.request('DeleteAccount', { Account: alice.address }, signers, shard.nowMs);
    await deleteAccount(shard.context, alice.address, request);
    const [, frame] = shard.store.framesOf(serviceAddress, 'mmm_Incident');
    const { value } = decodeTagged(recordRegistry, frame?.payload ?? new Uint8Array(0), { form: 'json' });
    expect(value).toMatchObject({ Kind: 'account-deleted', Account: alice.address });
  });
});
