import { beforeEach, describe, expect, test } from 'vitest';
import { accountOnlineKeys, adminKeys, isConnected, writersOf } from './account-keys.js';
import { type AccountState, type DeviceRow, keyText } from './storage/store.js';
import { Person, type TestDevice } from './testing/person.js';
import { TestShard } from './testing/test-shard.js';

let alice: Person;
let device: TestDevice;
let state: AccountState;
beforeEach(async () => {
  const shard = await new TestShard().start();
  alice = new Person('alice', { administrators: ['first', 'second'] });
  device = alice.device();
  await shard.join(alice, device);
  state = shard.store.stateOf(alice.address) as AccountState;
});

const row = () => state.devices.get(device.udf) as DeviceRow;
const revoking = (...keys: { publicKey: { raw: Uint8Array } }[]): AccountState => ({
  ...state,
  revokedKeys: new Set(keys.map((key) => keyText(key.publicKey.raw))),
});
const named = (keys: readonly { udf: string }[]) => keys.map(({ udf }) => udf);

describe('[S25] a revoked key', () => {
  test('administers no more; the offline key of the Mesh always does', () => {
    const [first, second] = alice.administrators as [typeof alice.admin, typeof alice.admin];
    const names = [first, second, alice.meshOffline].map((key) => key.publicKey.udf);
    expect(named(adminKeys(state))).toEqual(names);
    expect(named(adminKeys(revoking(second)))).toEqual([names[0], names[2]]);
    expect(named(adminKeys(revoking(first, second)))).toEqual([names[2]]);
  });

  test('vouches for no connection any more, and writes nothing', () => {
    const revoked = revoking(alice.accountOnline);
    expect(named(accountOnlineKeys(state))).toEqual([alice.accountOnline.publicKey.udf]);
    expect(accountOnlineKeys(revoked)).toEqual([]);
    expect([isConnected(state, row()), isConnected(revoked, row())]).toEqual([true, false]);
    expect(writersOf(revoked, 'mmm_Credential')).toEqual([]);
  });
});

describe('[S43] writers', () => {
  const [signature, online] = [() => device.signature.publicKey.udf, () => alice.accountOnline.publicKey.udf];
  const withRow = (changes: Partial<DeviceRow>): AccountState => ({
    ...state,
    devices: new Map([[device.udf, { ...row(), ...changes }]]),
  });

  test('are devices in use and the keys of the account', () => {
    expect(named(writersOf(state, 'mmm_Credential'))).toEqual([signature(), online()]);
    expect(named(writersOf(withRow({ revokedAtMs: 1 }), 'mmm_Credential'))).toEqual([online()]);
  });

  test('are devices with permission for the store', () => {
    const limited = withRow({ permissions: [{ name: 'mmm_Bookmark' }, { name: 'mmm_Contact', role: 'read' }] });
    expect(named(writersOf(limited, 'mmm_Bookmark'))).toEqual([signature(), online()]);
    for (const container of ['mmm_Contact', 'mmm_Credential']) {
      expect(named(writersOf(limited, container))).toEqual([online()]);
    }
  });

  test('of the device catalog are administrators alone', () => {
    expect(named(writersOf(state, 'mmm_Device', device.signature.publicKey))).toEqual(named(adminKeys(state)));
  });
});
