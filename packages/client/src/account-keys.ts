import { importPublicKey, type PublicKeyEd448, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { udfEquals } from '@meshd/crypto/udf';
import { decryptEnvelope } from '@meshd/dare/decrypt';
import { encryptEnvelope } from '@meshd/dare/encrypt';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { type DecryptionKey, decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import {
  ActivationAccount,
  type AdministrationKeys,
  type ContainerHead,
  type KeyEpoch,
} from '@meshd/schema/connections';
import { itemContentType } from '@meshd/schema/container-name';
import type { Key } from '@meshd/schema/keys';
import type { AccountEpoch, DeviceKeys, KeyName, KeySecret } from './device-keys.js';
import { ClientError } from './errors.js';

/*
 * The account's keys on their way to a device that is connected already (S62): an ActivationAccount without overlays,
 * encrypted to the device's combined key, signed by an online key of the account, in `EnvelopedActivationKeys` of its entry.
 */

const activationTags = defineTags('activation', { ActivationAccount });
const seedBytes = 57;

/** The account's keys as an activation names them, private parts included, newest first. */
export function epochMembers(epochs: readonly AccountEpoch[]): KeyEpoch[] {
  return epochs.map(({ seed, sinceMs }) => {
    const { udf, raw } = signingKeyFromSeed(seed).publicKey;
    const PublicParameters = { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } as const;
    return { PublicKey: { UDF: udf, PublicParameters, PrivateParameters: privateKey(seed) }, Since: new Date(sinceMs) };
  });
}

/** The account's keys of a verified activation, newest first. @throws ClientError `profile` for what is none */
export function epochsOf(members: readonly KeyEpoch[] = []): AccountEpoch[] {
  const epochs = members.map(({ PublicKey: key, Since: since }) => {
    return { seed: seedOf(key?.PrivateParameters), sinceMs: since?.getTime() ?? 0 };
  });
  return newestFirst(epochs);
}

/** Decryption with keys of the account, newest first. @throws ClientError `profile` where there is none */
export function decryptionOfEpochs(epochs: readonly AccountEpoch[]): DecryptionKey {
  const [newest, ...former] = epochs.map(({ seed }) => decryptionKeyFromSeed('Ed448', seed));
  if (newest === undefined) throw new ClientError('profile', 'an activation without a key to read with');
  return { ...newest, former };
}

/** Both lists as one: what was held once is held for good, since entries stay encrypted to it. */
export function mergedEpochs(held: readonly AccountEpoch[], given: readonly AccountEpoch[]): AccountEpoch[] {
  const isHeld = ({ seed }: AccountEpoch) => held.some((epoch) => Buffer.compare(epoch.seed, seed) === 0);
  return newestFirst([...held, ...given.filter((epoch) => !isHeld(epoch))]);
}

const newestFirst = (epochs: AccountEpoch[]) => epochs.sort((a, b) => b.sinceMs - a.sinceMs);

function privateKey(seed: Uint8Array): Key {
  return { tag: 'PrivateKeyECDH', value: { crv: 'Ed448', Private: seed } };
}

function seedOf(key: Key | undefined): Uint8Array {
  if (key?.tag !== 'PrivateKeyECDH' || key.value.crv !== 'Ed448' || key.value.Private?.length !== seedBytes) {
    throw new ClientError('profile', 'an activation without the private part of a key that it names');
  }
  return key.value.Private;
}

/** The keys that every administration device holds, to hand them on. @throws ClientError `usage` where this is none */
export function administrationMembers(keys: DeviceKeys): AdministrationKeys {
  return {
    MeshEncryption: privateKey(keys.seed('meshEncryption')),
    AccountOffline: privateKey(keys.seed('accountOffline')),
    AccountOnline: privateKey(keys.seed('accountOnline')),
  };
}

/** The same as a device keeps them. @throws ClientError `profile` */
export function administrationSecrets(members: AdministrationKeys): Map<KeyName, KeySecret> {
  return new Map([
    ['meshEncryption', seedOf(members.MeshEncryption)],
    ['accountOffline', seedOf(members.AccountOffline)],
    ['accountOnline', seedOf(members.AccountOnline)],
  ]);
}

/** What a device is given. */
export interface SealedKeys {
  readonly accountUdf: string;
  readonly epochs: readonly AccountEpoch[];
  readonly keyBlind: Uint8Array;
  /** What was verified of the account's containers, where the keys stand for themselves (S47). */
  readonly stores?: readonly ContainerHead[] | undefined;
  /** For administration devices. */
  readonly administration?: AdministrationKeys | undefined;
  /** The device's combined key; for an administrator's own entry the escrow key of the Mesh too. */
  readonly readers: readonly PublicKeyEd448[];
  /** Online key of the account. */
  readonly signer: SigningKey;
  readonly random: Random;
}

/** Seals the account's keys for a device. */
export function sealAccountKeys(given: SealedKeys): EnvelopeOctets {
  const { accountUdf, epochs, keyBlind, stores, administration, readers, signer, random } = given;
  const activation: ActivationAccount = {
    ...{ AccountUDF: accountUdf, KeysEncryption: epochMembers(epochs), KeyBlind: keyBlind },
    ...(stores === undefined ? {} : { Stores: [...stores] }),
    ...(administration === undefined ? {} : { Administration: administration }),
  };
  const plain = encodeTagged(ActivationAccount, activation, 'json');
  const recipients = readers.map(({ raw }) => importPublicKey(raw));
  return encryptEnvelope({ plain, recipients, random, pad: true, contentType: itemContentType, keys: [signer] });
}

/**
 * Opens the account's keys: signature first, then decryption (S61).
 *
 * @param signers online keys of the account
 * @throws MeshError, DareError, ClientError `profile`
 */
export async function openAccountKeys(
  octets: EnvelopeOctets,
  signers: readonly PublicKeyEd448[],
  key: DecryptionKey,
): Promise<ActivationAccount> {
  const find = (kid: string) => signers.find(({ udf }) => udfEquals(udf, kid));
  const { envelope } = await verifyEnvelope(openEnvelope(octets), find);
  const { plain } = decryptEnvelope(envelope, key, 'signature');
  return decodeTagged(activationTags, plain, { form: 'json', refuseRepeated: true }).value;
}

/** Whether an envelope is encrypted to a key, told by its header. */
export function isEncryptedTo(octets: EnvelopeOctets, udf: string): boolean {
  const { recipients = [] } = openEnvelope(octets).header;
  return recipients.some(({ kid }) => kid !== undefined && udfEquals(kid, udf));
}
