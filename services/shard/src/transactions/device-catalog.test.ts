/** Who may list whom in the device catalog, where the signature of an administrator is not enough (S25). */
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { statusRegistry } from '@meshd/schema/status';
import { beforeEach, describe, expect, test } from 'vitest';
import { entry, Person, type TestDevice, type TestWriter } from '../testing/person.js';
import { TestShard } from '../testing/test-shard.js';
import { codeOfFaults, extendedOf } from '../upload/fault.js';

let shard: TestShard;
let alice: Person;
let device: TestDevice;
let devices: TestWriter;

beforeEach(async () => {
  shard = await new TestShard().start();
  alice = new Person('alice');
  device = alice.device();
  devices = await shard.join(alice, device);
});

const listed = (each: TestDevice, body = each.entry) => entry({ UniqueID: each.udf, Event: 'New' }, body);
const removed = (each: TestDevice) => entry({ UniqueID: each.udf, Event: 'Delete', First: 1, Previous: 1 });

/** The outcome of one entry that `as` uploads under the manifest of `signer`. */
async function told(as: TestDevice, draft: ReturnType<typeof entry>, signer = alice.admin): Promise<string | number> {
  const { envelopes } = devices.seal([draft], { signer });
  try {
    const result = await shard.upload(as, [{ container: 'mmm_Device', envelopes }]);
    if (!('faults' in result)) return result.status;
    const code = codeOfFaults(result.faults);
    return `${statusRegistry[code].status}/${extendedOf(code)}`;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const rows = () => [...(shard.store.stateOf(alice.address)?.devices.keys() ?? [])];

/** An entry for another device, which says that the connection of `owner` is its own. */
function entryWith(owner: TestDevice, other: TestDevice, changes: Partial<CatalogedDevice> = {}): Uint8Array {
  const body: CatalogedDevice = {
    UDF: other.mesh.publicKey.udf,
    DeviceUDF: other.udf,
    EnvelopedProfileDevice: other.profile,
    Accounts: [{ AccountUDF: alice.accountUdf, EnvelopedConnectionAccount: owner.connection }],
    ...changes,
  };
  return encodeTagged(CatalogedDevice, body, 'json');
}

describe('[S25] a device', () => {
  test('lists itself under another name with the offline key of the Mesh only', async () => {
    const other = alice.device('other');
    const again = listed(other, entryWith(device, other));
    expect(await told(device, again)).toBe('403/3');
    expect(rows()).toEqual([device.udf]);
    expect(await told(device, again, alice.meshOffline)).toBe(201);
  });

  test('that is not listed changes the catalog with the offline key only, and is told nothing', async () => {
    const stranger = alice.device('stranger');
    const drafts = [listed(alice.device('third')), listed(stranger), removed(device)];
    for (const draft of drafts) expect(await told(stranger, draft)).toBe('not-authenticated');
    expect(rows()).toEqual([device.udf]);
    expect(shard.store.stateOf(alice.address)?.devices.get(device.udf)?.revokedAtMs).toBeNull();
    expect(await told(stranger, listed(stranger), alice.meshOffline)).toBe(201);
  });
});

describe('an entry', () => {
  test('brings the profile of its own device', async () => {
    const other = alice.device('other');
    const foreign = entryWith(other, other, { EnvelopedProfileDevice: alice.device('third').profile });
    expect(await told(device, listed(other, foreign))).toBe('400/10');
    expect(await told(device, listed(other, entryWith(other, other)))).toBe(201);
  });

  test('is filed under the device that it names, and connects it to this account', async () => {
    const other = alice.device('other');
    const named = entryWith(other, other, { DeviceUDF: device.udf });
    expect(await told(device, listed(other, named))).toBe('400/13');
    const none = entryWith(other, other, { Accounts: [] });
    expect(await told(device, listed(other, none))).toBe('400/10');
  });
});

test('[S25] the offline key of the Mesh does not die with an entry that names it', async () => {
  const other = alice.device('other');
  const named = entryWith(other, other, { UDF: alice.meshOffline.publicKey.udf });
  const { envelopes } = devices.write([
    listed(other, named),
    entry({ UniqueID: other.udf, Event: 'Delete', First: 2, Previous: 2 }),
  ]);
  expect(await shard.upload(device, [{ container: 'mmm_Device', envelopes }])).toMatchObject({ status: 201 });
  const newer = new Person('alice', { updated: new Date('2026-02-01T00:00:00Z') });
  expect(await shard.create(newer)).toEqual({ status: 202 });
});

describe('[S24] [S25] a revoked device', () => {
  test('is refused even what is there already', async () => {
    const second = alice.device('second');
    const opened = devices.write([entry({ UniqueID: second.udf, Event: 'New' }, second.entry)]).envelopes;
    const upload = (as: TestDevice, envelopes: typeof opened) =>
      shard.upload(as, [{ container: 'mmm_Device', envelopes }]);
    expect(await upload(device, opened)).toMatchObject({ status: 201 });
    const removal = devices.write([entry({ UniqueID: second.udf, Event: 'Delete', First: 2, Previous: 2 })]);
    expect(await upload(device, removal.envelopes)).toMatchObject({ status: 201 });
    expect(await upload(device, opened)).toMatchObject({ status: 201 });
    await expect(upload(second, opened)).rejects.toMatchObject({ code: 'device-revoked' });
  });
});

test('one request changes the device catalog once', async () => {
  const batches = ['second', 'third'].map((name) => devices.write([listed(alice.device(name))]).envelopes);
  const updates = batches.map((envelopes) => ({ container: 'mmm_Device', envelopes }));
  expect(await shard.upload(device, updates)).toMatchObject({ faults: [{ code: 'malformed', indexRequest: 1 }] });
  expect(rows()).toEqual([device.udf]);
});
