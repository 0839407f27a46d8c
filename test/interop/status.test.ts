/** Status: which containers, which profile, which device entry. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, deviceEntry, item } from './kit/account.js';
import { objectOf, open } from './kit/dare.js';
import { newKey } from './kit/keys.js';
import { b64, sha512 } from './kit/octets.js';
import { codesOf } from './kit/peer.js';
import { newDevice } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { selfSigned } from './kit/response.js';

let running: Running;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  account = await Account.open(running.peer);
  await account.append('mmm_Credential', [item('a', '1')]);
});
afterAll(() => running?.stop());

const listed = async (message: object): Promise<string[]> =>
  ((await account.status(message)).message.ContainerStatus ?? []).map(({ Container }) => Container ?? '').sort();

describe('Status', () => {
  it('[R123] [R244] [R252] lists every container; asking makes none', async () => {
    const all = ['mmm_Archive', 'mmm_Credential', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound'];
    expect(await listed({})).toEqual(all);
    expect(await listed({ Catalogs: ['mmm_Bookmark'] })).toEqual([]);
    expect(await listed({})).toEqual(all);
  });

  it('[R248] [R249] lists only what is named, and says nothing of names it does not know', async () => {
    expect(await listed({ Catalogs: ['mmm_Credential', 'mmm_Unheard', '../x'] })).toEqual(['mmm_Credential']);
    expect(await listed({ Spools: ['mmm_Inbound'] })).toEqual(['mmm_Inbound']);
    expect(await listed({ Catalogs: ['mmm_Device'], Spools: ['mmm_Archive'] })).toEqual(['mmm_Archive', 'mmm_Device']);
  });

  it('[R247] [R250] gives the Mesh profile, unless its digest is known', async () => {
    const { message } = await account.status();
    expect(selfSigned(message.EnvelopedProfileMaster, 'ProfileMesh').udf).toBe(account.person.meshOffline.udf);
    const ProfileMasterDigest = b64(sha512(open(account.person.profileMesh).payload as Uint8Array));
    expect((await account.status({ ProfileMasterDigest })).message).not.toHaveProperty('EnvelopedProfileMaster');
    const other = b64(sha512(new Uint8Array(1)));
    expect((await account.status({ ProfileMasterDigest: other })).message).toHaveProperty('EnvelopedProfileMaster');
  });

  it('[R124] [R251] the device entry stays away while the connection is current', async () => {
    expect((await account.status()).message).not.toHaveProperty('EnvelopedCatalogEntryDevice');
  });

  it('[R246] another DeviceUDF than the caller’s: 403', async () => {
    expect((await account.status({ DeviceUDF: account.device.offline.udf })).status).toBe(201);
    expect(codesOf(await account.status({ DeviceUDF: newKey().udf }))).toMatchObject({ status: 403, extended: 2 });
  });

  it('[R198] [R199] without Account: 400; with another: 401', async () => {
    expect(codesOf(await account.status({ Account: undefined }))).toMatchObject({ status: 400 });
    const other = await Account.open(running.peer);
    const codes = codesOf(await account.status({ Account: other.person.address }));
    expect(codes).toMatchObject({ status: 401, extended: undefined });
    expect((await account.status({ DeviceProfile: account.device.profile })).status).toBe(201);
  });

  it('[R123] [S24] a device sees and reads only what its connection permits', async () => {
    const permissions = [{ Name: 'mmm_Credential', Role: 'read' }];
    const device = newDevice(account.person, Date.now(), { permissions });
    expect((await account.append('mmm_Device', [deviceEntry(account.person, device)])).status).toBe(201);
    const limited = new Account(running.peer, account.person, device);
    const seen = (await limited.status()).message.ContainerStatus?.map(({ Container }) => Container) ?? [];
    expect(seen).toContain('mmm_Credential');
    expect(seen).not.toContain('mmm_Archive');
    expect((await limited.download([{ Container: 'mmm_Credential' }])).status).toBe(201);
    const frames = account.container('mmm_Credential').batch([item('b', '2')], device.signature);
    const answer = await limited.upload([account.update(account.container('mmm_Credential'), frames)]);
    expect(answer).toMatchObject({ status: 403, extended: 2 });
  });

  it('[R303] every answer has Status and a text where there is something to say', async () => {
    expect((await account.status()).message.Status).toBe(201);
    const refusal = await account.status({ DeviceUDF: newKey().udf });
    expect(refusal.message.StatusDescription).toEqual(expect.any(String));
  });

  it('[S83] what is known is left out; a wait for a difference that is there ends at once', async () => {
    const listed = (await account.status()).message.ContainerStatus ?? [];
    const device = listed.find(({ Container }) => Container === 'mmm_Device');
    const known = await account.status({ Known: [{ Container: 'mmm_Device', Index: device?.Index }] });
    expect(known.message.ContainerStatus?.map(({ Container }) => Container)).not.toContain('mmm_Device');
    expect(known.message.ContainerStatus).toHaveLength(listed.length - 1);
    const waited = await account.status({ Wait: 50_000, Known: [{ Container: 'mmm_Device', Index: 1 }] });
    expect(codesOf(waited)).toMatchObject({ status: 201, tag: 'StatusResponse' });
  });

  it('[R251] CatalogedDevice frames are readable: the catalog is in clear', async () => {
    const { message } = await account.download([{ Container: 'mmm_Device', IndexMin: 1, IndexMax: 1 }]);
    const entry = objectOf<{ DeviceUDF: string }>(message.Updates?.[0]?.Envelopes?.[0], 'CatalogedDevice');
    expect(entry.DeviceUDF).toBe(account.device.offline.udf);
  });
});
