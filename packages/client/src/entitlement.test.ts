import type { SigningKey } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { describe, expect, it } from 'vitest';
import { makeDeviceKeys } from './device-keys.js';
import { type Authority, authorityOf, cutsOf, mayWrite, writersOf, writingDevice } from './entitlement.js';
import { deviceEntry, type Identity, makeIdentity } from './identity.js';

const address = 'alice@example.com';
const keys = makeDeviceKeys(systemRandom);
const identity = makeIdentity(keys, address, 0, 'test');

/** The device's entry with its connection signed by another key. */
function entrySignedBy(signer: SigningKey, of: Identity = identity): Uint8Array {
  const payload = of.connectionAccount.payload ?? new Uint8Array(0);
  return deviceEntry(keys, { ...of, connectionAccount: signEnvelope({ payload, keys: [signer] }) });
}

describe('[S43] who may write', () => {
  it('is a device whose connection an online key of the account has signed', async () => {
    const authority = await authorityOf(identity, address);
    const device = await writingDevice(deviceEntry(keys, identity), identity.deviceUdf, authority);
    expect(device?.key.udf).toBe(keys.key('connectionSignature').publicKey.udf);
    const find = writersOf(authority, device === undefined ? [] : [device]);
    expect(find(device?.key.udf ?? '', 'my_Notes', 1)).toBe(device?.key);
    expect(find(device?.key.udf ?? '', 'mmm_Device', 1)).toBeUndefined();
    // case and dashes of a name are its writer's business: the service takes it, and so does every other device
    expect(find((device?.key.udf ?? '').toLowerCase().replaceAll('-', ''), 'my_Notes', 1)).toBe(device?.key);
  });

  it('is not one that the account’s offline key, the Mesh or a stranger has signed', async () => {
    const authority = await authorityOf(identity, address);
    const stranger = makeDeviceKeys(systemRandom).key('accountOnline');
    for (const signer of [keys.key('accountOffline'), keys.key('meshOnline'), stranger]) {
      const entry = writingDevice(entrySignedBy(signer), identity.deviceUdf, authority);
      await expect(entry).rejects.toMatchObject({ code: 'frame' });
    }
  });

  it('is not one filed under another device', async () => {
    const authority = await authorityOf(identity, address);
    const entry = deviceEntry(keys, identity);
    await expect(writingDevice(entry, 'MAAA', authority)).rejects.toMatchObject({ code: 'frame' });
  });

  it('[R011] is of the account at whatever address that is by now; who acts there, the service judges', async () => {
    const moved: Authority = { ...(await authorityOf(identity, address)), address: 'alice@example.net' };
    const { deviceUdf } = identity;
    expect(await writingDevice(deviceEntry(keys, identity), deviceUdf, moved)).toMatchObject({ deviceUdf });
    const other: Authority = { ...moved, accountUdf: 'MAAA' };
    expect(await writingDevice(deviceEntry(keys, identity), deviceUdf, other)).toBeUndefined();
  });

  it('is nobody, where the entry has no part in the account', async () => {
    const authority = await authorityOf(identity, address);
    const body = encodeTagged(CatalogedDevice, { DeviceUDF: identity.deviceUdf }, 'json');
    expect(await writingDevice(body, identity.deviceUdf, authority)).toBeUndefined();
  });

  it('[S25] is for the device catalog a key of the Mesh alone', async () => {
    const find = writersOf(await authorityOf(identity, address), []);
    for (const name of ['meshOnline', 'meshOffline'] as const) {
      expect(find(keys.key(name).publicKey.udf, 'mmm_Device', 1)).toBeDefined();
      expect(find(keys.key(name).publicKey.udf, 'my_Notes', 1)).toBeUndefined();
    }
    expect(find(keys.key('accountOnline').publicKey.udf, 'mmm_Device', 1)).toBeUndefined();
    expect(find(keys.key('accountOnline').publicKey.udf, 'my_Notes', 1)).toBeDefined();
  });

  it('is limited by permissions, where a device has any', () => {
    const permissions = [
      { Name: 'my_Notes', Role: 'write' },
      { Name: 'my_Photos', Role: 'read' },
      { Name: 'Messaging' },
    ];
    expect(mayWrite([], 'my_Anything')).toBe(true);
    expect(mayWrite(permissions, 'my_Notes')).toBe(true);
    expect(mayWrite(permissions, 'my_Photos')).toBe(false);
    expect(mayWrite(permissions, 'my_Other')).toBe(false);
    expect(mayWrite(permissions, 'mmm_Archive')).toBe(true);
  });

  it('is not a device for a store that it has no permission for', async () => {
    const authority = await authorityOf(identity, address);
    const { publicKey: key } = keys.key('connectionSignature');
    const permissions = [{ Name: 'my_Notes' }, { Name: 'my_Photos', Role: 'read' }];
    const find = writersOf(authority, [{ deviceUdf: identity.deviceUdf, key, permissions }]);
    expect(find(key.udf, 'my_Notes', 1)).toBe(key);
    for (const container of ['my_Photos', 'my_Other', 'mmm_Device'])
      expect(find(key.udf, container, 1)).toBeUndefined();
  });
});

describe('[S48] a revoked device', () => {
  const root = Buffer.alloc(32, 7);
  const cuts = cutsOf([
    { Key: 'Cut:my_Notes', Value: `5:${root.toString('base64url')}` },
    { Key: 'Cut:my_Photos', Value: 'nothing' },
    { Key: 'Permissions', Value: `9:${root.toString('base64url')}` },
  ]);

  it('has cuts that say where its part ends', () => {
    expect([...cuts]).toEqual([['my_Notes', { size: 5, root: new Uint8Array(root) }]]);
    expect(cutsOf()).toEqual(new Map());
  });

  it('wrote what is below its cut, and nothing at it, nor where there is none', async () => {
    const authority = await authorityOf(identity, address);
    const device = await writingDevice(deviceEntry(keys, identity), identity.deviceUdf, authority);
    if (device === undefined) throw new Error('no device');
    const find = writersOf(authority, [], [{ ...device, cuts }]);
    const kid = device.key.udf;
    expect(find(kid, 'my_Notes', 4)).toBe(device.key);
    expect(find(kid, 'my_Notes', 5)).toBeUndefined();
    expect(find(kid, 'my_Photos', 1)).toBeUndefined();
    expect(find(kid, 'my_Later', 1)).toBeUndefined();
  });

  it('[S25] that administered: neither its own key in the Mesh nor the account’s count behind its cuts', async () => {
    const authority = await authorityOf(identity, address);
    const device = await writingDevice(deviceEntry(keys, identity), identity.deviceUdf, authority);
    if (device === undefined) throw new Error('no device');
    const root32 = root.toString('base64url');
    const known = cutsOf(['mmm_Device', 'my_Notes'].map((name) => ({ Key: `Cut:${name}`, Value: `5:${root32}` })));
    const find = writersOf(authority, [], [{ ...device, cuts: known }]);
    const [admin, account] = [keys.key('meshOnline').publicKey.udf, keys.key('accountOnline').publicKey.udf];
    expect(find(admin, 'mmm_Device', 4)).toBeDefined();
    expect(find(admin, 'mmm_Device', 5)).toBeUndefined();
    expect(find(account, 'my_Notes', 4)).toBeDefined();
    expect(find(account, 'my_Notes', 5)).toBeUndefined();
    expect(find(account, 'my_Later', 1)).toBeUndefined();
    // The Mesh itself is nobody's device.
    expect(find(keys.key('meshOffline').publicKey.udf, 'mmm_Device', 9)).toBeDefined();
    // An ordinary device knew no key of the account.
    const ordinary = writersOf(authority, [], [{ ...device, meshKey: undefined, cuts: known }]);
    expect(ordinary(account, 'my_Notes', 9)).toBeDefined();
  });
});
