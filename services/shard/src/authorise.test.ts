import type { SigningKey } from '@meshd/crypto/ed448';
import { watchNative } from '@meshd/crypto/native-calls.fixture';
import { openEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { authorise, type Principal } from './authorise.js';
import { entry, opening, Person, type TestDevice, TestWriter } from './testing/person.js';
import { TestShard } from './testing/test-shard.js';

// Counted, not replaced: how many signatures a request costs is part of what is promised.
const verifications = watchNative('verify');
afterAll(() => verifications.stop());

let shard: TestShard;
let alice: Person;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
});

async function costOf(work: () => Promise<unknown>): Promise<number> {
  verifications.calls.length = 0;
  await work().catch(() => undefined);
  return verifications.calls.length;
}

const stateOf = (person: Person) => shard.store.stateOf(person.address);

describe('authorise', () => {
  test('[S24] a listed device costs no signature check', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    expect(await costOf(() => authorise(device.principal, stateOf(alice)))).toBe(0);
    expect(await authorise(device.principal, stateOf(alice))).toMatchObject({ by: 'catalog' });
  });

  test('[S24] the state of another account is not that of the request, though its device asks', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    const elsewhere = { ...device.principal, account: 'bob@example.com' };
    await expect(authorise(elsewhere, stateOf(alice))).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('[S24] every refusal costs one signature check, with or without an account', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    const bob = new Person('bob');
    await shard.create(bob);
    const stranger = new Person('mallory').device().principal;
    const refusals = [
      () => authorise(device.principal, undefined),
      () => authorise({ ...stranger, account: alice.address }, stateOf(alice)),
      () => authorise({ ...device.principal, connectionDigest: new Uint8Array(64) }, stateOf(alice)),
      // No entry yet: a connection by a stranger's account is not even verified.
      () => authorise({ ...stranger, account: bob.address }, stateOf(bob)),
    ];
    for (const refusal of refusals) {
      await expect(refusal()).rejects.toMatchObject({ code: 'not-authenticated', detail: '' });
      expect(await costOf(refusal)).toBe(1);
    }
  });

  test('[S25] bootstrap: the first device comes in by its connection’s own signature', async () => {
    const device = alice.device();
    await shard.create(alice);
    const caller = await authorise(device.principal, stateOf(alice));
    expect([caller.by, caller.keySignature?.udf]).toEqual(['bootstrap', device.signature.publicKey.udf]);
  });

  test('[S24] a connection that names another key, or has another digest, does not bootstrap', async () => {
    const device = alice.device();
    await shard.create(alice);
    const other = alice.device('second');
    const mixed = { ...device.principal, key: other.principal.key };
    await expect(authorise(mixed, stateOf(alice))).rejects.toMatchObject({ code: 'not-authenticated' });
    const swapped = { ...device.principal, connectionDigest: other.principal.connectionDigest };
    await expect(authorise(swapped, stateOf(alice))).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('[S24] a superseded connection counts where it is asked for alone, with the rights of the newer one', async () => {
    const [old, device] = [alice.device('first', [{ Name: 'Administration' }]), alice.device()];
    await shard.join(alice, device);
    await expect(authorise(old.principal, stateOf(alice))).rejects.toMatchObject({ code: 'not-authenticated' });
    const caller = await authorise(old.principal, stateOf(alice), { superseded: true });
    expect([caller.by, caller.permissions]).toEqual(['catalog', []]);
    expect(await costOf(() => authorise(old.principal, stateOf(alice), { superseded: true }))).toBe(1);
  });

  test('[S24] a connection whose signer is no longer an online key of the account is superseded', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    const state = stateOf(alice);
    const rotated = { ...state, accountOnlineKeys: [new Uint8Array(57)] } as NonNullable<typeof state>;
    await expect(authorise(device.principal, rotated)).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  describe('[S25] a device that is to be listed with the offline key', () => {
    const vouched = (person: Person, device: TestDevice, key: SigningKey) => {
      const { payload } = openEnvelope(device.connection);
      const connection = signEnvelope({ payload: payload ?? new Uint8Array(0), keys: [person.accountOnline, key] });
      return { ...device.principal, connection };
    };
    const read = (principal: Principal) =>
      authorise(principal, stateOf(alice), { recovery: 'read' }).then(
        ({ by }) => by,
        (error) => error.code,
      );

    test('reads where that key has signed its connection, and only where reading is all', async () => {
      await shard.join(alice, alice.device());
      const saved = vouched(alice, alice.device('saved'), alice.meshOffline);
      expect(await read(saved)).toBe('recovery');
      await expect(authorise(saved, stateOf(alice))).rejects.toMatchObject({ code: 'not-authenticated' });
    });

    test('does not where another key has, nor where its connection is somebody else’s', async () => {
      await shard.join(alice, alice.device());
      const device = alice.device('saved');
      expect(await read(device.principal)).toBe('not-authenticated');
      expect(await read(vouched(alice, device, alice.admin))).toBe('not-authenticated');
      const mallory = new Person('mallory');
      const foreign = vouched(mallory, mallory.device(), alice.meshOffline);
      expect(await read({ ...foreign, account: alice.address })).toBe('not-authenticated');
    });

    test('does not once it was listed and shut out', async () => {
      const device = alice.device();
      const devices = await shard.join(alice, device);
      const second = alice.device('second');
      const write = (draft: ReturnType<typeof entry>) =>
        shard.upload(device, [{ container: 'mmm_Device', envelopes: devices.write([draft]).envelopes }]);
      await write(entry({ UniqueID: second.udf, Event: 'New' }, second.entry));
      await write(entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 }));
      expect(await read(vouched(alice, second, alice.meshOffline))).toBe('device-revoked');
    });
  });

  test('an account on hold answers its devices so, and strangers like any other', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    const state = stateOf(alice);
    const pending = { ...state, status: 'pending' } as NonNullable<typeof state>;
    await expect(authorise(device.principal, pending)).rejects.toMatchObject({ code: 'account-pending' });
    const stranger = { ...new Person('mallory').device().principal, account: alice.address };
    await expect(authorise(stranger, pending)).rejects.toMatchObject({ code: 'not-authenticated' });
  });
});

describe('what an upload costs', () => {
  test('[S42] one signature check a batch, however large', async () => {
    const device = alice.device();
    await shard.join(alice, device);
    const writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
    const open = writer.write([opening()]).envelopes;
    await shard.upload(device, [{ envelopes: open }]);
    const batch = Array.from({ length: 100 }, (_, at) => entry({ UniqueID: `k${at}`, Event: 'New' }));
    const { envelopes } = writer.write(batch);
    expect(await costOf(() => shard.upload(device, [{ envelopes }]))).toBe(1);
    expect(shard.store.framesOf(alice.address, 'mmm_Credential')).toHaveLength(101);
  });
});
