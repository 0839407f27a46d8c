import { type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { udfOfKey } from '@meshd/crypto/key-udf';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { describe, expect, test } from 'vitest';
import { ConnectionAccount, ConnectionHost } from './connections.js';
import type { PublicKey } from './keys.js';
import {
  checkKeyName,
  onlineKeysOf,
  publicKeyOf,
  verifyAccountAssertion,
  verifyConnection,
  verifyConnectionAccount,
  verifyProfile,
} from './profile-check.js';
import { ProfileAccount, ProfileMesh } from './profiles.js';
import { MeshError } from './status.js';

const key = (fill: number): SigningKey => signingKeyFromSeed(new Uint8Array(57).fill(fill));
const named = (of: SigningKey): PublicKey => ({
  UDF: of.publicKey.udf,
  PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: of.publicKey.raw } },
});
const [mesh, admin, account, accountOnline, device, stranger] = [1, 2, 3, 4, 5, 6].map(key) as [
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
];
const address = 'alice@example.com';

const meshProfile = (change: Partial<ProfileMesh> = {}, keys = [mesh]): EnvelopeOctets => {
  const profile = { KeyOfflineSignature: named(mesh), KeysOnlineSignature: [named(admin)], ...change };
  return signEnvelope({ payload: encodeTagged(ProfileMesh, profile, 'json'), keys });
};
const accountProfile = (change: Partial<ProfileAccount> = {}, keys = [account, admin]): EnvelopeOctets => {
  const profile = {
    KeyOfflineSignature: named(account),
    KeysOnlineSignature: [named(accountOnline)],
    ServiceIDs: ['Alice@Example.com'],
    MeshProfileUDF: mesh.publicKey.udf,
    ...change,
  };
  return signEnvelope({ payload: encodeTagged(ProfileAccount, profile, 'json'), keys });
};

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The envelope with one octet of its payload changed. */
function tampered(octets: EnvelopeOctets): EnvelopeOctets {
  const payload = Uint8Array.from(octets.payload ?? []);
  payload[payload.length - 2] = (payload[payload.length - 2] as number) ^ 1;
  return { ...octets, payload };
}

describe('[R305] keys', () => {
  test('the UDF is recomputed from the key', () => {
    expect(publicKeyOf(named(mesh)).equals(mesh.publicKey)).toBe(true);
    expect(publicKeyOf({ ...named(mesh), UDF: mesh.publicKey.udf.toLowerCase() }).udf).toBe(mesh.publicKey.udf);
    expect(() => publicKeyOf({ ...named(mesh), UDF: admin.publicKey.udf })).toThrow(CryptoError);
  });

  test('other than a usable Ed448 key is refused [S10]', () => {
    expect(() => publicKeyOf({})).toThrow(CryptoError);
    expect(() => publicKeyOf({ PublicParameters: { tag: 'PublicKeyRSA', value: {} } })).toThrow(CryptoError);
    for (const value of [
      { crv: 'Ed448' },
      { crv: 'X448', Public: new Uint8Array(56) },
      { crv: 'Ed448', Public: new Uint8Array(57) },
      { crv: 'ed448', Public: mesh.publicKey.raw },
    ]) {
      expect(() => publicKeyOf({ PublicParameters: { tag: 'PublicKeyECDH', value } })).toThrow(CryptoError);
    }
  });

  test('names of keys for others to use are checked on every curve', () => {
    const raw = new Uint8Array(56).fill(9);
    const parameters = { PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'X448', Public: raw } } } as const;
    expect(() => checkKeyName({ UDF: udfOfKey('X448', raw), ...parameters })).not.toThrow();
    expect(() => checkKeyName({ UDF: mesh.publicKey.udf, ...parameters })).toThrow(CryptoError);
  });
});

describe('profiles', () => {
  test('signed by their own offline key', async () => {
    const verified = await verifyProfile(meshProfile(), 'ProfileMesh');
    expect(verified.offlineKey.udf).toBe(mesh.publicKey.udf);
    expect(onlineKeysOf(verified.profile).map(({ udf }) => udf)).toEqual([admin.publicKey.udf]);
  });

  test.each([
    ['signed by another key', meshProfile({}, [stranger]), 'object-signature'],
    ['signed by an online key alone', meshProfile({}, [admin]), 'object-signature'],
    [
      'another key under its name',
      meshProfile({ KeyOfflineSignature: { ...named(stranger), UDF: mesh.publicKey.udf } }),
      'object-signature',
    ],
    [
      'a name of another key',
      meshProfile({ KeyEncryption: { ...named(device), UDF: mesh.publicKey.udf } }),
      'object-signature',
    ],
    [
      'a name of another online key',
      meshProfile({ KeysOnlineSignature: [{ ...named(device), UDF: mesh.publicKey.udf }] }),
      'object-signature',
    ],
    ['no key', meshProfile({ KeyOfflineSignature: undefined }), 'object-signature'],
    ['payload changed', tampered(meshProfile()), 'payload-digest'],
    ['payload left out', { ...meshProfile(), payload: null }, 'object-signature'],
    ['another tag', accountProfile({}, [account]), 'object-signature'],
    ['no signature', { ...meshProfile(), trailer: null }, 'object-signature'],
    ['no JSON', signEnvelope({ payload: Uint8Array.of(1, 2), keys: [mesh] }), 'malformed'],
  ])('[S02] [S04] [R305] refused: %s', async (_why, octets, code) => {
    expect(await codeOf(verifyProfile(octets, 'ProfileMesh'))).toBe(code);
  });

  test('the signer is found by its name in any case, with dashes or without', async () => {
    const { trailer, ...rest } = meshProfile();
    const written = Buffer.from(trailer ?? []).toString();
    const bare = mesh.publicKey.udf.replaceAll('-', '').toLowerCase();
    const renamed = { ...rest, trailer: Buffer.from(written.replace(mesh.publicKey.udf, bare)) };
    expect((await verifyProfile(renamed, 'ProfileMesh')).offlineKey.udf).toBe(mesh.publicKey.udf);
  });

  test('[S20] repeated members are refused', async () => {
    const payload = new TextEncoder().encode('{"ProfileMesh":{"Updated":null,"Updated":null}}');
    expect(await codeOf(verifyProfile(signEnvelope({ payload, keys: [mesh] }), 'ProfileMesh'))).toBe('malformed');
  });

  test('too many online keys are refused before any is imported', () => {
    expect(() => onlineKeysOf({ KeysOnlineSignature: Array.from({ length: 65 }, () => ({})) })).toThrow(MeshError);
  });
});

describe('account assertions', () => {
  const verify = async (octets: EnvelopeOctets, wanted = address) =>
    verifyAccountAssertion(octets, await verifyProfile(meshProfile(), 'ProfileMesh'), wanted);

  test.each([
    ['an online key of the Mesh', [admin]],
    ['the offline key of the Mesh', [mesh]],
    ['the own key and an online key', [account, admin]],
  ])('signed by %s', async (_who, keys) => {
    const verified = await verify(accountProfile({}, keys));
    expect(verified.offlineKey.udf).toBe(account.publicKey.udf);
    expect(verified.signers.map(({ udf }) => udf)).toEqual(keys.map(({ publicKey }) => publicKey.udf));
  });

  test.each([
    ['signed by its own key alone', accountProfile({}, [account])],
    ['signed by a stranger', accountProfile({}, [stranger])],
    ['signed by its own online key', accountProfile({}, [account, accountOnline])],
    ['of another Mesh', accountProfile({ MeshProfileUDF: stranger.publicKey.udf })],
    ['of no Mesh', accountProfile({ MeshProfileUDF: undefined })],
    ['for another address', accountProfile({ ServiceIDs: ['bob@example.com', 'no address'] })],
    ['for no address', accountProfile({ ServiceIDs: [] })],
    ['without key', accountProfile({ KeyOfflineSignature: undefined })],
    ['of another tag', meshProfile()],
  ])('refused: %s', async (_why, octets) => {
    expect(await codeOf(verify(octets))).toBe('object-signature');
  });

  test('refused: a valid signature of the Mesh beside a false one of the account', async () => {
    const good = accountProfile();
    const { signatures } = openEnvelope(good);
    const broken = signatures.map((entry) => ({ ...entry, signature: signatures[1]?.signature }));
    const trailer = new TextEncoder().encode(
      JSON.stringify({
        signatures: broken.map(({ alg, kid, signature }) => ({
          alg,
          kid,
          signature: Buffer.from(signature ?? []).toString('base64url'),
        })),
      }),
    );
    expect(await codeOf(verify({ ...good, trailer }))).toBe('object-signature');
  });

  test('refused: payload changed', async () => {
    expect(await codeOf(verify(tampered(accountProfile())))).toBe('payload-digest');
  });
});

describe('connections', () => {
  const connection = (change: Partial<ConnectionAccount> = {}, keys = [accountOnline]): EnvelopeOctets => {
    const members = {
      SubjectUDF: device.publicKey.udf,
      AuthorityUDF: account.publicKey.udf,
      ServiceID: [address],
      KeySignature: named(device),
      KeyAuthentication: named(device),
      ...change,
    };
    return signEnvelope({ payload: encodeTagged(ConnectionAccount, members, 'json'), keys });
  };
  const authority = { udf: account.publicKey.udf, address, onlineKeys: [accountOnline.publicKey] };

  test('of an account: signed by one of its online keys, its names those of the account', async () => {
    const verified = await verifyConnectionAccount(connection(), authority);
    expect(verified.keyAuthentication.udf).toBe(device.publicKey.udf);
    expect(verified.signer.udf).toBe(accountOnline.publicKey.udf);
    const bare = connection({ AuthorityUDF: undefined, ServiceID: undefined });
    expect((await verifyConnectionAccount(bare, authority)).keySignature.udf).toBe(device.publicKey.udf);
  });

  test.each([
    ['signed by the offline key', connection({}, [account])],
    ['of another account', connection({ AuthorityUDF: stranger.publicKey.udf })],
    ['for another address', connection({ ServiceID: ['bob@example.com'] })],
    ['without KeyAuthentication', connection({ KeyAuthentication: undefined })],
    ['without KeySignature', connection({ KeySignature: undefined })],
    ['of another tag', signEnvelope({ payload: encodeTagged(ConnectionHost, {}, 'json'), keys: [accountOnline] })],
  ])('refused: %s', async (_why, octets) => {
    expect(await codeOf(verifyConnectionAccount(octets, authority))).toBe('object-signature');
  });

  test('[S02] of other kinds, by the authority that the caller names', async () => {
    const host = signEnvelope({
      payload: encodeTagged(ConnectionHost, { ServiceID: ['a.example'] }, 'json'),
      keys: [mesh],
    });
    expect((await verifyConnection(host, 'ConnectionHost', [mesh.publicKey])).connection.ServiceID).toEqual([
      'a.example',
    ]);
    expect(await codeOf(verifyConnection(host, 'ConnectionHost', [admin.publicKey]))).toBe('object-signature');
    expect(await codeOf(verifyConnection(host, 'ConnectionAccount', [mesh.publicKey]))).toBe('object-signature');
  });
});
