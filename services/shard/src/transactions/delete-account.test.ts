/** The administrator's signature that a deletion needs (S24, S25). */
import type { SigningKey } from '@meshd/crypto/ed448';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, Person, type TestDevice, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { deleteAccount } from './delete-account.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let second: TestDevice;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice', { administrators: ['first', 'second'] });
  device = alice.device();
  second = alice.device('second');
  const devices = await shard.join(alice, device);
  const { envelopes } = devices.write([
    entry({ UniqueID: second.udf, Event: 'New' }, second.entry),
    entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 }),
  ]);
  expect(await shard.upload(device, [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
});

/** A request to delete the account, by the device and one more key. */
const request = (key: SigningKey, account = alice.address) => {
  const signers = [{ key: device.authentication, connection: device.connection }, { key }];
  return alice.request('DeleteAccount', { Account: account }, signers, shard.nowMs);
};

/** The same with another second entry. */
function withProof(envelope: EnvelopeOctets, change: (entry: SignatureEntry) => SignatureEntry): EnvelopeOctets {
  const { header, payload, trailer, signatures } = openEnvelope(envelope);
  const [own, proof] = signatures as [SignatureEntry, SignatureEntry];
  return makeEnvelope({ header, payload, trailer: { ...trailer, signatures: [own, change(proof)] } });
}

const outcome = (envelope: EnvelopeOctets, routedAs = alice.address): Promise<string | number> =>
  deleteAccount(shard.context, routedAs, envelope).then(
    ({ status }) => status,
    (error) => error.code,
  );
const isThere = () => shard.store.stateOf(alice.address) !== undefined;

describe('[S25] the proof of a deletion', () => {
  test('is not the name of an administrator without the signature', async () => {
    const { udf } = alice.admin.publicKey;
    const renamed = withProof(await request(testKey('mallory')), (proof) => ({ ...proof, kid: udf }));
    expect(await outcome(renamed)).toBe('signature-invalid');
    const flipped = withProof(await request(alice.admin), (proof) => {
      const signature = Uint8Array.from(proof.signature ?? []);
      signature[60] = (signature[60] ?? 0) ^ 1;
      return { ...proof, signature };
    });
    expect(await outcome(flipped)).toBe('signature-invalid');
    expect(isThere()).toBe(true);
  });

  test('names its key in any case, as every name is compared', async () => {
    const bare = alice.admin.publicKey.udf.replaceAll('-', '').toLowerCase();
    expect(await outcome(withProof(await request(alice.admin), (proof) => ({ ...proof, kid: bare })))).toBe(201);
  });

  test('is not taken from another request', async () => {
    const other = openEnvelope(await request(alice.admin)).signatures[1] as SignatureEntry;
    expect(await outcome(withProof(await request(alice.admin), () => other))).toBe('signature-invalid');
    expect(isThere()).toBe(true);
  });

  test('is not made by a revoked administrator, though his key stands in the ProfileMesh', async () => {
    expect(await outcome(await request(second.mesh))).toBe('administrator-required');
    expect(await outcome(await request(alice.accountOnline))).toBe('administrator-required');
    expect(isThere()).toBe(true);
    expect(await outcome(await request(alice.admin))).toBe(201);
    expect(isThere()).toBe(false);
  });
});

test('[S24] a request that the router brings under the name of another account is refused', async () => {
  const bob = new Person('bob');
  await shard.create(bob);
  expect(await outcome(await request(alice.admin), bob.address)).toBe('malformed');
  expect(await outcome(await request(alice.admin, bob.address), bob.address)).toBe('not-authenticated');
  expect([isThere(), shard.store.stateOf(bob.address) !== undefined]).toEqual([true, true]);
});
