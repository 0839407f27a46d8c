/** The account's keys on their way to a device: what is opened, and what is refused before anything is decrypted (S61, S62). */
import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import { decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { signEnvelope } from '@meshd/dare/sign';
import { describe, expect, it } from 'vitest';
import {
  administrationMembers,
  administrationSecrets,
  epochsOf,
  isEncryptedTo,
  mergedEpochs,
  openAccountKeys,
  sealAccountKeys,
} from './account-keys.js';
import { makeDeviceKeys } from './device-keys.js';

const account = signingKeyFromSeed(generateSeed(systemRandom));
const deviceSeed = generateSeed(systemRandom);
const device = decryptionKeyFromSeed('Ed448', deviceSeed);
const keyBlind = systemRandom(32);
const epochs = [
  { seed: Uint8Array.from(generateSeed(systemRandom)), sinceMs: 2_000 },
  { seed: Uint8Array.from(generateSeed(systemRandom)), sinceMs: 1_000 },
];
const sealed = sealAccountKeys({
  ...{ accountUdf: 'MAAA', epochs, keyBlind, readers: [signingKeyFromSeed(deviceSeed).publicKey] },
  ...{ signer: account, random: systemRandom },
});
const open = (octets: EnvelopeOctets, key = device) => openAccountKeys(octets, [account.publicKey], key);
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'opened',
    (error: Error) => error.message,
  );

describe('[S62] [R310] the account’s keys', () => {
  it('come to the device that they are sealed for, newest first', async () => {
    const { KeysEncryption: members, KeyBlind: blind } = await open(sealed);
    expect(epochsOf(members)).toEqual(epochs);
    expect(epochsOf([...(members ?? [])].reverse())).toEqual(epochs);
    expect(Buffer.from(blind ?? [])).toEqual(keyBlind);
    expect([isEncryptedTo(sealed, device.udf), isEncryptedTo(sealed, account.publicKey.udf)]).toEqual([true, false]);
  });

  it('come to no other device, nor unsigned, nor signed by anybody else', async () => {
    const other = decryptionKeyFromSeed('Ed448', generateSeed(systemRandom));
    expect(await refusal(open(sealed, other))).toMatch(/not encrypted to this key/);
    const { header, payload } = openEnvelope(sealed);
    expect(await refusal(open(makeEnvelope({ header, payload: payload ?? new Uint8Array(0) })))).toMatch(/sign/i);
    const stranger = signingKeyFromSeed(generateSeed(systemRandom));
    const again = signEnvelope({ header, payload: payload ?? new Uint8Array(0), keys: [stranger] });
    expect(await refusal(open(again))).toMatch(/sign/i);
  });

  it('[S61] are not taken from who signs a ciphertext without knowing what it holds', async () => {
    const { header, payload } = openEnvelope(sealed);
    // The right key, made to sign what somebody else has encrypted: there is no witness.
    const blindly = signEnvelope({ header, payload: payload ?? new Uint8Array(0), keys: [account] });
    expect(await refusal(open(blindly))).toMatch(/did not prove to know the master key/);
  });

  it('are kept, whatever is given later, and what lacks its private part is refused', () => {
    const newest = { seed: generateSeed(systemRandom), sinceMs: 3_000 };
    expect(mergedEpochs(epochs, [newest, ...epochs.slice(1)])).toEqual([newest, ...epochs]);
    expect(mergedEpochs(epochs, [])).toEqual(epochs);
    expect(() => epochsOf([{ Since: new Date(0) }])).toThrow(/private part/);
  });

  it('[S25] with what administering takes, as far as the giver has it', () => {
    const keys = makeDeviceKeys(systemRandom);
    const given = administrationSecrets(administrationMembers(keys));
    for (const [name, secret] of given) expect(secret).toEqual(keys.seed(name));
    expect([...given.keys()].sort()).toEqual(['accountOffline', 'accountOnline', 'meshEncryption']);
    const ordinary = keys.changed({ removed: ['accountOffline'] });
    expect(() => administrationMembers(ordinary)).toThrow(/does not administer/);
    expect(() => administrationSecrets({})).toThrow(/private part/);
  });
});
