import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { decryptEnvelope } from '@meshd/dare/decrypt';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { verifyEnvelope } from '@meshd/dare/verify';
import { encodeTagged } from '@meshd/encoding/codec';
import { CatalogedDevice } from '@meshd/schema/catalog';
import { verifyConnectionRequest } from '@meshd/schema/connection-check';
import { describe, expect, it } from 'vitest';
import { type DeviceKeys, makeDeviceKeys } from '../device-keys.js';
import { decodeDeviceEntry } from '../entitlement.js';
import { makeIdentity } from '../identity.js';
import { type Asked, acceptEntry } from './acceptance.js';
import { type MadeRequest, makeBaseSeeds, makeProfileDevice, makeRequest } from './asking.js';
import { grantDevice } from './grant.js';

const address = 'alice@example.com';
const nowMs = 1_767_225_600_000;

/** Somebody who may connect devices to an account of this address, rightly or not. */
function administratorOf(keys: DeviceKeys = makeDeviceKeys(systemRandom)) {
  const identity = makeIdentity(keys, address, nowMs, 'laptop');
  return { keys, identity, address, meshOnline: keys.key('meshOnline'), accountOnline: keys.key('accountOnline') };
}
type TestAdministrator = ReturnType<typeof administratorOf>;

const request = (seeds?: MadeRequest['seeds'], more: Partial<Parameters<typeof makeRequest>[0]> = {}) =>
  makeRequest({ address, seeds, description: 'phone', nowMs, random: systemRandom, ...more });

async function granted(made: MadeRequest, by: TestAdministrator, pinWitness?: (digest: Uint8Array) => Uint8Array) {
  const { publicKey } = by.keys.key('accountEncryption');
  const secret = { crv: 'Ed448', Private: by.keys.seed('accountEncryption') };
  const epoch = {
    UDF: publicKey.udf,
    PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: publicKey.raw } },
    PrivateParameters: { tag: 'PrivateKeyECDH', value: secret },
  } as const;
  const what = {
    ...{ permissions: [], epochs: [{ PublicKey: epoch, Since: new Date(0) }], keyBlind: by.keys.keyBlind },
    ...{ stores: [], serviceUdf: 'MAAA' },
  };
  const options = { nowMs, random: systemRandom, pinWitness };
  return grantDevice(await verifyConnectionRequest(made.message), by, what, options).body;
}

function asked(made: MadeRequest, of: TestAdministrator, pinWitness?: Asked['pinWitness']): Asked {
  const { profileMesh, profileAccount } = of.identity;
  return { address, seeds: made.seeds, profileDevice: made.profileDevice, profileMesh, profileAccount, pinWitness };
}

const maker = { description: 'phone', nowMs, random: systemRandom };

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error) => `${error.code}: ${error.message}`,
  );

/** The entry with some members changed. */
const changed = (body: Uint8Array, change: (entry: CatalogedDevice) => CatalogedDevice) =>
  encodeTagged(CatalogedDevice, change(decodeDeviceEntry(body)), 'json');

describe('[S51] [S52] the entry that connects a device', () => {
  it('[R147] gives it keys of its own and the account’s key to read with', async () => {
    const [alice, made] = [administratorOf(), request()];
    const { keys, identity } = await acceptEntry(await granted(made, alice), asked(made, alice));
    expect(identity.accountUdf).toBe(alice.identity.accountUdf);
    expect(keys.decryption('accountEncryption').udf).toBe(alice.keys.key('accountEncryption').publicKey.udf);
    expect(keys.key('connectionAuthentication').publicKey.udf).not.toBe(
      signingKeyFromSeed(made.seeds.authentication).publicKey.udf,
    );
    expect(keys.has('meshOnline')).toBe(false);
    expect(() => keys.key('accountOnline')).toThrow(/does not administer/);
  });

  it('[R149] opens to nobody who knows the base keys alone', async () => {
    const [alice, made] = [administratorOf(), request()];
    const body = await granted(made, alice);
    const entry = decodeDeviceEntry(body);
    const opened = openEnvelope(entry.EnvelopedActivationDevice as EnvelopeOctets);
    const { envelope } = await verifyEnvelope(opened, () => alice.meshOnline.publicKey);
    for (const seed of [made.seeds.encryption, made.seeds.offline, made.seeds.authentication]) {
      const key = decryptionKeyFromSeed('Ed448', seed);
      expect(() => decryptEnvelope(envelope, key, 'signature')).toThrow(/not encrypted to this key/);
    }
    const maker = { ...made, seeds: { ...made.seeds, client: generateSeed(systemRandom) } };
    expect(await refusal(acceptEntry(body, asked(maker, alice)))).toMatch(/^connect: .*not encrypted to this key/);
  });

  it('is refused when it answers another request, be it of the same device', async () => {
    const [alice, made] = [administratorOf(), request()];
    const again = request(made.seeds);
    const body = await granted(made, alice);
    expect(await refusal(acceptEntry(body, asked(again, alice)))).toMatch(/^connect: /);
  });

  it('is refused when it is for another device, or another device’s keys', async () => {
    const [alice, made, other] = [administratorOf(), request(), request()];
    const body = await granted(other, alice);
    expect(await refusal(acceptEntry(body, asked(made, alice)))).toMatch(/that of another device/);
    const swapped = changed(await granted(made, alice), (entry) => ({
      ...entry,
      EnvelopedProfileDevice: other.profileDevice,
    }));
    expect(await refusal(acceptEntry(swapped, asked(made, alice)))).toMatch(/that of another device/);
  });

  it('is refused when another Mesh has made it, or another has signed a part', async () => {
    const [alice, mallet, made] = [administratorOf(), administratorOf(), request()];
    const false_ = await granted(made, mallet);
    expect(await refusal(acceptEntry(false_, asked(made, alice)))).toMatch(/^connect: /);
    const right = await granted(made, alice);
    const parts = decodeDeviceEntry(false_);
    for (const member of ['EnvelopedConnectionDevice', 'EnvelopedActivationDevice'] as const) {
      const mixed = changed(right, (entry) => ({ ...entry, [member]: parts[member] as EnvelopeOctets }));
      expect(await refusal(acceptEntry(mixed, asked(made, alice)))).toMatch(/^connect: /);
    }
  });

  it('is refused unsigned, before anything is decrypted', async () => {
    const [alice, made] = [administratorOf(), request()];
    const body = changed(await granted(made, alice), (entry) => {
      const { header, payload } = entry.EnvelopedActivationDevice as EnvelopeOctets;
      const unsigned = makeEnvelope({
        header: openEnvelope({ header, payload, trailer: null }).header,
        payload: payload as Uint8Array,
      });
      return { ...entry, EnvelopedActivationDevice: unsigned };
    });
    expect(await refusal(acceptEntry(body, asked(made, alice)))).toMatch(/^connect: .*sign/i);
  });

  it('[S54] is refused where the PIN is not proven', async () => {
    const [alice, made] = [administratorOf(), request()];
    const proof = (digest: Uint8Array) => digest.map((octet) => octet ^ 1);
    expect(await refusal(acceptEntry(await granted(made, alice, proof), asked(made, alice, proof)))).toBe('accepted');
    const without = await granted(made, alice);
    expect(await refusal(acceptEntry(without, asked(made, alice, proof)))).toMatch(/does not prove the PIN/);
  });

  it('[S53] comes under the base key where the device has asked as old ones do, and to no other request', async () => {
    const [alice, old] = [administratorOf(), request(undefined, { isUncommitted: true })];
    const verified = await verifyConnectionRequest(old.message);
    expect([verified.commitment, verified.request.PinUDF]).toEqual([undefined, undefined]);
    const body = await granted(old, alice);
    expect(await refusal(acceptEntry(body, asked(old, alice)))).toBe('accepted');
    const committed = request(old.seeds, { profileDevice: old.profileDevice });
    expect(await refusal(acceptEntry(body, asked(committed, alice)))).toMatch(/^connect: .*not encrypted to this key/);
  });

  it('[S56] is that of the profile with which the device was made', async () => {
    const seeds = makeBaseSeeds(systemRandom);
    const profileDevice = makeProfileDevice(seeds, 'lamp', nowMs - 1000);
    const [alice, made] = [administratorOf(), makeRequest({ ...{ address, seeds, profileDevice }, ...maker })];
    expect((await verifyConnectionRequest(made.message)).request.EnvelopedProfileDevice?.payload).toEqual(
      profileDevice.payload,
    );
    expect(await refusal(acceptEntry(await granted(made, alice), asked(made, alice)))).toBe('accepted');
  });
});
