import { sha512 } from '@meshd/crypto/digest';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { decodeTagged, encodeTagged } from '@meshd/encoding/codec';
import { type AccountEntry, CatalogedDevice } from '@meshd/schema/catalog';
import { ConnectionAccount, connectionRegistry } from '@meshd/schema/connections';
import type { PublicKey } from '@meshd/schema/keys';
import { ProfileAccount, ProfileMesh, profileRegistry } from '@meshd/schema/profiles';
import { beforeEach, describe, expect, it } from 'vitest';
import { withDevice } from './device.js';
import type { KeyName } from './device-keys.js';
import { accountAt, copyHome, FakeService, fakeNowMs } from './fake-service.fixture.js';
import type { Identity } from './identity.js';
import { accountStatus } from './operations/account-status.js';
import { syncAccount } from './operations/sync.js';
import { uploadFiles } from './operations/upload.js';

const later = new Date(fakeNowMs + 60_000);
const earlier = new Date(fakeNowMs - 60_000);
const empty = new Uint8Array(0);

let service: FakeService;
let home: string;
let held: Identity;
let keys: (name: KeyName) => SigningKey;

const made = (payload: Uint8Array, ...signers: SigningKey[]) =>
  signEnvelope({ payload, contentMeta: { cty: 'application/mmm' }, keys: signers });
const strangerKey = () => signingKeyFromSeed(generateSeed(systemRandom));
const publicKey = ({ publicKey: { udf, raw } }: SigningKey): PublicKey => ({
  UDF: udf,
  PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } },
});

beforeEach(async () => {
  service = new FakeService();
  home = await accountAt(service);
  await withDevice(home, service.environment(), async ({ session }) => {
    held = session.identity;
    keys = (name) => session.keys.key(name);
  });
});

/** The profile of the Mesh with changes. */
function mesh(change: Partial<ProfileMesh>, signer = keys('meshOffline')): EnvelopeOctets {
  const { value } = decodeTagged(profileRegistry, held.profileMesh.payload ?? empty, { form: 'json' });
  return made(encodeTagged(ProfileMesh, { ...(value as ProfileMesh), ...change }, 'json'), signer);
}

function account(change: Partial<ProfileAccount>, ...signers: SigningKey[]): EnvelopeOctets {
  const { value } = decodeTagged(profileRegistry, held.profileAccount.payload ?? empty, { form: 'json' });
  return made(encodeTagged(ProfileAccount, { ...(value as ProfileAccount), ...change }, 'json'), ...signers);
}

/** The device's connection to the account with changes. */
function connection(change: Partial<ConnectionAccount>, signer = keys('accountOnline')): EnvelopeOctets {
  const { value } = decodeTagged(connectionRegistry, held.connectionAccount.payload ?? empty, { form: 'json' });
  return made(encodeTagged(ConnectionAccount, { ...(value as ConnectionAccount), ...change }, 'json'), signer);
}

/** The device's entry in the catalog. */
function entry(ofAccount: Partial<AccountEntry>, ofDevice: Partial<CatalogedDevice> = {}): EnvelopeOctets {
  const Accounts = [{ AccountUDF: held.accountUdf, ...ofAccount }];
  const value = { DeviceUDF: held.deviceUdf, Accounts, ...ofDevice };
  return made(encodeTagged(CatalogedDevice, value, 'json'), keys('meshOnline'));
}

const status = () => withDevice(home, service.environment(), (device) => accountStatus(device));
const identity = () => withDevice(home, service.environment(), async ({ session }) => session.identity);
const payloadOf = (octets: EnvelopeOctets | undefined) => Buffer.from(octets?.payload ?? empty).toString('utf8');

/** Asks, and tells what was refused; nothing may have been taken over then. */
async function refusal(): Promise<string> {
  const error = await status().then(
    () => new Error('no refusal'),
    (reason: unknown) => reason as Error & { code?: string },
  );
  expect(error).toMatchObject({ code: 'profile' });
  expect(await identity()).toEqual(held);
  return error.message;
}

describe('[R124] [R247] [R250] a newer ProfileMesh in a Status', () => {
  it('is kept, and is the one that later requests name', async () => {
    const newer = mesh({ Updated: later });
    service.brings = { EnvelopedProfileMaster: newer };
    await status();
    expect(payloadOf((await identity()).profileMesh)).toBe(payloadOf(newer));
    await status();
    expect(service.statuses.at(-1)?.message.ProfileMasterDigest).toEqual(sha512(newer.payload ?? empty));
  });

  it('says whose manifests count in the device catalog', async () => {
    const other = strangerKey();
    const online = [publicKey(keys('meshOnline')), publicKey(other)];
    service.brings = { EnvelopedProfileMaster: mesh({ Updated: later, KeysOnlineSignature: online }) };
    const before = await withDevice(home, service.environment(), (device) => device.writers());
    expect(before(other.publicKey.udf, 'mmm_Device', 2)).toBeUndefined();
    const after = await withDevice(home, service.environment(), async (device) => {
      await accountStatus(device);
      return device.writers();
    });
    expect(after(other.publicKey.udf, 'mmm_Device', 2)?.equals(other.publicKey)).toBe(true);
  });

  it('is nothing new where it is the one that is here', async () => {
    service.brings = { EnvelopedProfileMaster: held.profileMesh };
    await status();
    expect(await identity()).toEqual(held);
  });

  it('[S25] is refused where it is older, or as old', async () => {
    service.brings = { EnvelopedProfileMaster: mesh({ Updated: earlier }) };
    expect(await refusal()).toMatch(/in place of the one of/);
    service.brings = { EnvelopedProfileMaster: mesh({ KeysOnlineSignature: [] }) };
    expect(await refusal()).toMatch(/in place of the one of/);
    service.brings = { EnvelopedProfileMaster: mesh({ Updated: undefined }) };
    expect(await refusal()).toMatch(/without a date/);
  });

  it('[S04] is refused where it is that of another Mesh', async () => {
    const other = strangerKey();
    const forged = mesh({ Updated: later, KeyOfflineSignature: publicKey(other) }, other);
    service.brings = { EnvelopedProfileMaster: forged };
    expect(await refusal()).toMatch(/another Mesh/);
    // Under the name of the right key, which is not the key.
    const named = { ...publicKey(other), UDF: held.meshUdf };
    service.brings = { EnvelopedProfileMaster: mesh({ Updated: later, KeyOfflineSignature: named }, other) };
    await refusal();
  });

  it('is refused where its signature does not hold', async () => {
    service.brings = { EnvelopedProfileMaster: mesh({ Updated: later }, keys('meshOnline')) };
    await refusal();
    const newer = mesh({ Updated: later });
    const text = payloadOf(newer).replace('ProfileMesh', 'profileMesh');
    service.brings = { EnvelopedProfileMaster: { ...newer, payload: Buffer.from(text) } };
    await refusal();
    service.brings = { EnvelopedProfileMaster: { ...newer, payload: null } };
    await refusal();
  });
});

describe('[R124] [R251] an entry of this device in a Status', () => {
  it('brings a newer connection, under which later requests are signed', async () => {
    const newer = connection({ Updated: later, Permissions: [{ Name: 'my_Notes' }] });
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: newer }) };
    await status();
    await status();
    expect(payloadOf(service.statuses.at(-1)?.signers[0]?.connection)).toBe(payloadOf(newer));
    expect(payloadOf((await identity()).connectionAccount)).toBe(payloadOf(newer));
  });

  it('takes rights away: what the service shows no longer then is not missed', async () => {
    const content = new TextEncoder().encode('x');
    await withDevice(home, service.environment(), async (device) => {
      for (const name of ['my_Notes', 'my_Other']) await uploadFiles(device, name, [{ name: 'x', content }]);
    });
    const newer = connection({ Updated: later, Permissions: [{ Name: 'my_Notes' }] });
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: newer }) };
    service.shown = (name, frames) => (name === 'my_Other' ? [] : frames);
    const copy = await copyHome(home);
    const namesIn = (all: readonly { container: string }[]) => all.map(({ container }) => container);
    expect(namesIn(await status())).not.toContain('my_Other');
    const synced = await withDevice(copy, service.environment(), (device) => syncAccount(device));
    expect(namesIn(synced)).toContain('my_Notes');
    expect(namesIn(synced)).not.toContain('my_Other');
  });

  it('[R027] is asked for by a device that the service no longer knows, which then hears that the account has moved', async () => {
    const newer = connection({ Updated: later });
    const answers: Record<string, object[]> = {
      Status: [{ status: 401 }, { status: 303, statusExtended: 25, description: 'alice@example.net' }],
      Complete: [
        {
          ...{ status: 200, succeeded: true },
          message: { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: newer }) },
        },
      ],
    };
    const call = async (transaction: string) => ({ succeeded: false, message: {}, ...answers[transaction]?.shift() });
    const environment = {
      ...service.environment(),
      connect: () => Object.assign(service.connect(), { call }) as ReturnType<typeof service.connect>,
    };
    const asked = withDevice(home, environment, ({ session }) => session.call('Status', {}));
    // `withDevice` follows then, and hears nothing more of this service.
    await expect(asked).rejects.not.toMatchObject({ code: 'refused' });
    expect(answers).toEqual({ Status: [], Complete: [] });
    expect(payloadOf((await identity()).connectionAccount)).toBe(payloadOf(newer));
  });

  it('brings a newer profile of the account, whose keys the connection is judged by', async () => {
    const online = strangerKey();
    const change = { Updated: later, KeysOnlineSignature: [publicKey(online)] };
    const EnvelopedProfileAccount = account(change, keys('accountOffline'), keys('meshOnline'));
    const EnvelopedConnectionAccount = connection({ Updated: later }, online);
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount }) };
    await refusal();
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedProfileAccount, EnvelopedConnectionAccount }) };
    await status();
    expect(payloadOf((await identity()).profileAccount)).toBe(payloadOf(EnvelopedProfileAccount));
  });

  it('is refused where the connection is for other keys than the device has', async () => {
    for (const member of ['KeyAuthentication', 'KeySignature', 'KeyEncryption'] as const) {
      const forged = connection({ Updated: later, [member]: publicKey(strangerKey()) });
      service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: forged }) };
      expect(await refusal()).toMatch(/keys that this device does not have/);
    }
  });

  it('[S25] is refused where the connection is older: rights that were taken stay taken', async () => {
    const older = connection({ Updated: earlier, Permissions: [] });
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: older }) };
    expect(await refusal()).toMatch(/in place of the one of/);
  });

  it('is refused where somebody else than the account signed it', async () => {
    const forged = connection({ Updated: later }, keys('connectionSignature'));
    service.brings = { EnvelopedCatalogEntryDevice: entry({ EnvelopedConnectionAccount: forged }) };
    await refusal();
    // The account alone does not say what its Mesh says of it.
    const online = [publicKey(keys('connectionSignature'))];
    const strange = account({ Updated: later, KeysOnlineSignature: online }, keys('accountOffline'));
    const both = { EnvelopedProfileAccount: strange, EnvelopedConnectionAccount: forged };
    service.brings = { EnvelopedCatalogEntryDevice: entry(both) };
    await refusal();
  });

  it('is refused where it is of another device, of another account, or without a connection', async () => {
    const newer = { EnvelopedConnectionAccount: connection({ Updated: later }) };
    service.brings = { EnvelopedCatalogEntryDevice: entry(newer, { DeviceUDF: held.meshUdf }) };
    expect(await refusal()).toMatch(/another device/);
    service.brings = { EnvelopedCatalogEntryDevice: entry({ ...newer, AccountUDF: held.meshUdf }) };
    expect(await refusal()).toMatch(/another account/);
    service.brings = { EnvelopedCatalogEntryDevice: entry({}) };
    expect(await refusal()).toMatch(/no connection/);
    service.brings = { EnvelopedCatalogEntryDevice: { ...entry(newer), payload: null } };
    expect(await refusal()).toMatch(/left out/);
    service.brings = { EnvelopedCatalogEntryDevice: { ...entry(newer), payload: Buffer.from('{"Nothing":{}}') } };
    await refusal();
  });
});
