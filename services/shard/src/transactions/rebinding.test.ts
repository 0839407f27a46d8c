/** CreateAccount for an account that exists: who may replace its profiles, and by which (S25, semantics 6.2). */
import type { RequestSigner } from '@meshd/binding/request-sign';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { ProfileAccount } from '@meshd/schema/profiles';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, Person, publicMember, signedObject } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { createAccount } from './create-account.js';

const administrators = ['first', 'second'];
const at = (text: string) => new Person('alice', { administrators, updated: new Date(text) });
const alice = at('2026-01-01T00:00:00Z');
const older = at('2025-12-01T00:00:00Z');
const newer = at('2026-02-01T00:00:00Z');
const second = alice.device('second');

let shard: TestShard;
beforeEach(async () => {
  shard = await new TestShard().start();
});

async function rebind(
  mesh: EnvelopeOctets,
  account: EnvelopeOctets,
  signer: RequestSigner = { key: alice.meshOffline },
): Promise<number | string> {
  const message = { ServiceID: alice.address, SignedProfileMesh: mesh, SignedAssertionAccount: account };
  const request = await alice.request('CreateAccount', message, [signer], shard.nowMs);
  return createAccount(shard.context, alice.address, request).then(
    ({ status }) => status,
    (error) => error.code,
  );
}

const stored = () => {
  const state = shard.store.stateOf(alice.address);
  return [state?.profileMesh.payload, state?.profileAccount.payload];
};

describe('[S25] [R291] profiles', () => {
  beforeEach(() => shard.create(alice));

  test('either may be replaced by a newer one, alone or with the other', async () => {
    expect(await rebind(newer.profileMesh, alice.profileAccount)).toBe(202);
    expect(await rebind(newer.profileMesh, newer.profileAccount)).toBe(202);
    expect(stored()).toEqual([newer.profileMesh.payload, newer.profileAccount.payload]);
  });

  test('neither may go back, whatever the other does', async () => {
    const before = stored();
    expect(await rebind(older.profileMesh, newer.profileAccount)).toBe('profile-older');
    expect(await rebind(newer.profileMesh, older.profileAccount)).toBe('profile-older');
    expect(await rebind(older.profileMesh, alice.profileAccount)).toBe('profile-older');
    expect(await rebind(alice.profileMesh, older.profileAccount)).toBe('profile-older');
    expect(stored()).toEqual(before);
  });

  test('other ones of the same instant are not newer', async () => {
    const sibling = new Person('alice', { administrators: ['first'], updated: new Date('2026-01-01T00:00:00Z') });
    expect(await rebind(sibling.profileMesh, newer.profileAccount)).toBe('profile-older');
    const undated = new Person('alice', { administrators: ['first'], updated: new Date(0) });
    expect(await rebind(undated.profileMesh, newer.profileAccount)).toBe('profile-older');
  });
});

describe('[S25] a revoked administrator', () => {
  /** The newer ProfileAccount, vouched for by other keys of the Mesh than the first administrator's. */
  const vouchedBy = (...keys: Person['administrators']) =>
    signedObject(
      ProfileAccount,
      {
        Updated: new Date('2026-02-01T00:00:00Z'),
        KeyOfflineSignature: publicMember(alice.accountOffline),
        KeysOnlineSignature: [publicMember(alice.accountOnline)],
        ServiceIDs: [alice.address],
        MeshProfileUDF: alice.meshOffline.publicKey.udf,
      },
      alice.accountOffline,
      ...keys,
    );

  beforeEach(async () => {
    const device = alice.device();
    const devices = await shard.join(alice, device);
    const write = async (...drafts: Parameters<typeof devices.write>[0]) => {
      const { envelopes } = devices.write(drafts);
      expect(await shard.upload(device, [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
    };
    await write(entry({ UniqueID: second.udf, Event: 'New' }, second.entry));
    await write(entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 }));
  });

  test('cannot bind anew, though his key stands in the profile', async () => {
    const signer = { key: second.mesh };
    expect(await rebind(newer.profileMesh, newer.profileAccount, signer)).toBe('administrator-required');
    expect(await rebind(newer.profileMesh, newer.profileAccount, { key: alice.admin })).toBe(202);
  });

  test('cannot vouch for the account', async () => {
    expect(await rebind(newer.profileMesh, vouchedBy(second.mesh))).toBe('administrator-required');
    expect(await rebind(newer.profileMesh, vouchedBy(second.mesh, alice.admin))).toBe(202);
  });
});
