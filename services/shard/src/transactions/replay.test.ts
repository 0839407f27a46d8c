/** Answers that were stored are found by who asks and nobody else (S27). */
import { signRequest } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import { readEnvelope } from '@meshd/dare/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { createAccount } from './create-account.js';
import { deleteAccount } from './delete-account.js';

let shard: TestShard;
beforeEach(async () => {
  shard = await new TestShard().start();
});

describe('[S27] an ID', () => {
  test('of one device is free for every other, of the same account and of others', async () => {
    const [alice, bob] = [new Person('alice'), new Person('bob')];
    const [first, second, foreign] = [alice.device(), alice.device('second'), bob.device()];
    const devices = await shard.join(alice, first);
    await shard.join(bob, foreign);
    const listed = devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]).envelopes;
    await shard.upload(first, [{ container: 'mmm_Device', envelopes: listed }]);
    const { id } = shard.identity();
    const uploads = [
      [first, 'my_First', alice],
      [second, 'my_Second', alice],
      [foreign, 'my_First', bob],
    ] as const;
    for (const [device, container, { accountUdf }] of uploads) {
      const { envelopes } = new TestWriter(container, accountUdf, device.signature).write([opening()]);
      const result = await shard.upload(device, [{ container, envelopes }], { id, payloadDigest: systemRandom(64) });
      expect(result).toMatchObject({ status: 201 });
    }
    expect(shard.store.framesOf(alice.address, 'my_Second')).toHaveLength(1);
  });

  test('of one Mesh is free for another', async () => {
    const id = shard.identity().id;
    id.set(Buffer.from(BigInt(shard.nowMs).toString(16).padStart(16, '0'), 'hex'));
    for (const person of [new Person('alice'), new Person('bob')]) {
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
      expect(await createAccount(shard.context, person.address, readEnvelope(body))).toEqual({ status: 201 });
    }
  });

  test('under which an account was made does not make it again after its end', async () => {
    const alice = new Person('alice');
    const request = await alice.createRequest(shard.nowMs);
    await createAccount(shard.context, alice.address, request);
    const device = alice.device();
    await shard.join(alice, device);
    const signers = [{ key: device.authentication, connection: device.connection }, { key: alice.admin }];
    const deletion = await alice.request('DeleteAccount', { Account: alice.address }, signers, shard.nowMs);
    await deleteAccount(shard.context, alice.address, deletion);
    // The very request that made the account finds its answer still; it does not make the account again.
    expect(await createAccount(shard.context, alice.address, request)).toEqual({ status: 201 });
    expect(shard.store.stateOf(alice.address)).toBeUndefined();
  });
});
