/** Listing devices and revoking them: who may, what an entry must hold, what it does to later requests (S24, S25). */
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, opening, Person, type TestDevice, TestWriter, testKey } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { credential, told } from '../testing/upload-kit.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let devices: TestWriter;
/** Writes `mmm_Credential`, which is not opened yet. */
let writer: TestWriter;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice', { administrators: ['first', 'second'] });
  device = alice.device();
  devices = await shard.join(alice, device);
  writer = new TestWriter('mmm_Credential', alice.accountUdf, device.signature);
});

describe('the device catalog', () => {
  const listed = (each: TestDevice, event = 'New', links = {}) =>
    entry({ UniqueID: each.udf, Event: event, ...links }, event === 'Delete' ? undefined : each.entry);
  const toDevices = (as: TestDevice, drafts: readonly ReturnType<typeof entry>[], signer = alice.admin) =>
    shard.upload(as, [{ container: 'mmm_Device', envelopes: devices.seal(drafts, { signer }).envelopes }]);
  const write = async (as: TestDevice, drafts: readonly ReturnType<typeof entry>[]) => {
    const { envelopes } = devices.write(drafts);
    const result = await shard.upload(as, [{ container: 'mmm_Device', envelopes }]);
    expect(result).toMatchObject({ status: 201 });
  };

  test('[S25] without an administrator’s manifest nothing is listed', async () => {
    expect(told(await toDevices(device, [listed(alice.device('second'))], device.signature))).toBe('403/3 Reject@0');
    expect(told(await toDevices(device, [listed(alice.device('second'))], testKey('mallory')))).toBe('403/3 Reject@0');
  });

  test('a further device is listed, and may then write', async () => {
    const second = alice.device('second');
    await expect(shard.upload(second, [])).rejects.toMatchObject({ code: 'not-authenticated' });
    await write(device, [listed(second)]);
    const bookmarks = new TestWriter('mmm_Bookmark', alice.accountUdf, second.signature);
    const { envelopes } = bookmarks.write([opening(), credential('b')]);
    expect(await shard.upload(second, [{ container: 'mmm_Bookmark', envelopes }])).toMatchObject({ status: 201 });
  });

  test('UniqueID of an entry is its DeviceUDF', async () => {
    const draft = entry({ UniqueID: testKey('x').publicKey.udf, Event: 'New' }, alice.device('second').entry);
    expect(told(await toDevices(device, [draft]))).toBe('400/13 Reject@0');
  });

  test('profile and connections of an entry must hold', async () => {
    const bob = new Person('bob');
    const foreign = bob.device();
    expect(told(await toDevices(device, [listed(foreign)]))).toBe('400/10 Reject@0');
    const nonsense = entry({ UniqueID: foreign.udf, Event: 'New' }, new TextEncoder().encode('{"CatalogedDevice":{}}'));
    expect(told(await toDevices(device, [nonsense]))).toBe('400/13 Reject@0');
  });

  test('[S24] revocation acts on the next request', async () => {
    const second = alice.device('second');
    await write(device, [listed(second)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    const { envelopes } = writer.seal([opening()], { signer: second.signature });
    await expect(shard.upload(second, [{ envelopes }])).rejects.toMatchObject({ code: 'device-revoked' });
    const late = writer.seal([opening()], { signer: second.signature });
    expect(told(await shard.upload(device, [{ envelopes: late.envelopes }]))).toBe('409/24 Conflict@0');
  });

  test('[S25] a revoked administrator cannot list itself again, nor sign for the device catalog', async () => {
    const second = alice.device('second');
    await write(device, [listed(second)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    const own = toDevices(second, [listed(second)], second.mesh);
    await expect(own).rejects.toMatchObject({ code: 'device-revoked' });
    expect(told(await toDevices(device, [listed(alice.device('third'))], second.mesh))).toBe('403/3 Reject@0');
    expect(told(await toDevices(device, [listed(second)], alice.admin))).toBe('403/3 Reject@0');
  });

  test('[S25] an administrator’s key dies with its entry, though the entry only names it', async () => {
    const second = alice.device('second');
    const bare = encodeTagged(
      CatalogedDevice,
      {
        UDF: second.mesh.publicKey.udf,
        DeviceUDF: second.udf,
        EnvelopedProfileDevice: second.profile,
        Accounts: [{ AccountUDF: alice.accountUdf, EnvelopedConnectionAccount: second.connection }],
      },
      'json',
    );
    await write(device, [entry({ UniqueID: second.udf, Event: 'New' }, bare)]);
    await write(device, [listed(second, 'Delete', { First: 2, Previous: 2 })]);
    expect(told(await toDevices(device, [listed(alice.device('third'))], second.mesh))).toBe('403/3 Reject@0');
  });

  test('[S25] the offline key lists a revoked device again', async () => {
    await write(device, [listed(device, 'Delete', { First: 1, Previous: 1 })]);
    const online = toDevices(device, [listed(device)], alice.administrators[1]);
    await expect(online).rejects.toMatchObject({ code: 'device-revoked' });
    const recovered = alice.device('first', [], alice.meshOffline);
    const result = await toDevices(device, [listed(recovered)], alice.meshOffline);
    expect(result).toMatchObject({ status: 201 });
    const { envelopes } = writer.seal([opening()]);
    expect(await shard.upload(device, [{ envelopes }])).toMatchObject({ status: 201 });
  });

  test('[S25] bootstrap does not come back when the last device was deleted', async () => {
    await write(device, [listed(device, 'Delete', { First: 1, Previous: 1 })]);
    const { envelopes } = writer.seal([opening()]);
    await expect(shard.upload(device, [{ envelopes }])).rejects.toMatchObject({ code: 'device-revoked' });
    const stranger = alice.device('stranger');
    await expect(shard.upload(stranger, [{ envelopes }])).rejects.toMatchObject({ code: 'not-authenticated' });
  });

  test('a device with permissions writes its stores only', async () => {
    const limited = alice.device('second', [{ Name: 'mmm_Bookmark' }, { Name: 'mmm_Contact', Role: 'read' }]);
    await write(device, [listed(limited)]);
    const upload = (container: string) => {
      const { envelopes } = new TestWriter(container, alice.accountUdf, limited.signature).seal([opening()]);
      return shard.upload(limited, [{ container, envelopes }]);
    };
    expect(await upload('mmm_Bookmark')).toMatchObject({ status: 201 });
    expect(told(await upload('mmm_Contact'))).toBe('403/2 Reject@0');
    expect(told(await upload('mmm_Credential'))).toBe('403/2 Reject@0');
  });
});
