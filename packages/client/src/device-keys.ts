import { type CombinedKey, combinedSigningKey } from '@meshd/crypto/combined-key';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { type DecryptionKey, decryptionKeyFromScalar, decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { ClientError } from './errors.js';
import type { Home } from './home.js';
import { drawMaster, masterNames, seedOfMaster } from './master.js';
import { octetsToText, textToOctets } from './octet-text.js';

/**
 * Every key that a device may have, by its place in the profiles. The first device of an account draws all of them. A device
 * that is connected later has its own base keys from seeds, the keys of its connections as combined keys (S13), and the
 * account's reading keys from its activation; an administration device besides the keys that administer the account.
 */
export const keyNames = [
  'meshOffline',
  'meshOnline',
  'meshEncryption',
  'deviceOffline',
  'deviceEncryption',
  'deviceAuthentication',
  'deviceMeshSignature',
  'deviceMeshEncryption',
  'deviceMeshAuthentication',
  'accountOffline',
  'accountOnline',
  'accountEncryption',
  'connectionSignature',
  'connectionEncryption',
  'connectionAuthentication',
] as const;
export type KeyName = (typeof keyNames)[number];

const keyBlindBytes = 32;
const keysFile = 'keys.json';

/** A secret: a seed of 57 octets, or what two seeds came to whose sum is the key (S13). */
export type KeySecret = Uint8Array | CombinedKey;

/** A key that the account's data is or was encrypted to (S62). */
export interface AccountEpoch {
  /** 57 octets. */
  readonly seed: Uint8Array;
  /** Unix time in milliseconds since when it is the newest; whole seconds, as it travels. */
  readonly sinceMs: number;
}

/** What a device holds besides its keys by name. */
export interface HeldBesides {
  /** Newest first; the first is `accountEncryption`. */
  readonly epochs: readonly AccountEpoch[];
  /** The master seed; undefined on devices that were connected later, and where it was taken out. */
  readonly master?: Uint8Array | undefined;
  /** Frame of the device catalog from which epochs were taken last. */
  readonly takenFrom: number;
}

type StoredSecret =
  | { readonly seed: string }
  | { readonly scalar: string; readonly prefix: string; readonly public: string };

interface StoredKeys {
  version: 2;
  /** Octets in base64url, scalars in hexadecimal. */
  keys: Partial<Record<KeyName, StoredSecret>>;
  keyBlind: string;
  /** Absent in homes from before keys could change. */
  epochs?: { seed: string; sinceMs: number }[];
  master?: string;
  takenFrom?: number;
}

/** As homes were written before devices could be connected. */
interface StoredSeeds {
  version: 1;
  seeds: Record<KeyName, string>;
  keyBlind: string;
}

/** The device's secrets; nothing of them leaves this object but signatures, decryption and blinded names. */
export interface DeviceKeys extends HeldBesides {
  /** Whether the device has the key of a place. */
  has(name: KeyName): boolean;
  /** Signing key (and with it the public key) of a place. Made once. @throws ClientError `usage`, `state` */
  key(name: KeyName): SigningKey;
  /**
   * Decryption with the key of a place; that of the account opens what was encrypted to its former keys as well. Made once: it
   * costs a point multiplication. @throws as `key`
   */
  decryption(name: KeyName): DecryptionKey;
  /** The seed, to hand it on (S62). @throws ClientError `state` where the key has none */
  seed(name: KeyName): Uint8Array;
  /** The same with other secrets: keys are never changed, only replaced. */
  changed(change: KeyChange): DeviceKeys;
  /** The account's key for blinded names (S63), 32 octets. */
  readonly keyBlind: Uint8Array;
}

/** What {@link DeviceKeys.changed} replaces. */
export interface KeyChange extends Partial<HeldBesides> {
  readonly secrets?: ReadonlyMap<KeyName, KeySecret> | undefined;
  readonly removed?: readonly KeyName[] | undefined;
  /** The device administers from now on: by its own key in the Mesh. */
  readonly administers?: true | undefined;
  readonly keyBlind?: Uint8Array | undefined;
}

/** Who lacks these keys is no administrator. */
const administrationKeys: ReadonlySet<KeyName> = new Set([
  'meshOffline',
  'meshOnline',
  'meshEncryption',
  'accountOffline',
  'accountOnline',
]);

class KeptKeys implements DeviceKeys {
  readonly keyBlind: Uint8Array;
  readonly secrets: ReadonlyMap<KeyName, KeySecret>;
  readonly epochs: readonly AccountEpoch[];
  readonly master: Uint8Array | undefined;
  readonly takenFrom: number;
  readonly #made = new Map<KeyName, SigningKey>();
  readonly #opening = new Map<KeyName, DecryptionKey>();

  constructor(secrets: ReadonlyMap<KeyName, KeySecret>, keyBlind: Uint8Array, besides: HeldBesides) {
    const newest = besides.epochs[0];
    this.secrets = newest === undefined ? secrets : new Map(secrets).set('accountEncryption', newest.seed);
    this.keyBlind = keyBlind;
    this.epochs = besides.epochs;
    this.master = besides.master;
    this.takenFrom = besides.takenFrom;
  }

  has(name: KeyName): boolean {
    return this.secrets.has(name);
  }

  seed(name: KeyName): Uint8Array {
    const secret = this.#secret(name);
    if (secret instanceof Uint8Array) return secret;
    throw new ClientError('state', `the key ${name} of this device has no seed`);
  }

  key(name: KeyName): SigningKey {
    const secret = this.#secret(name);
    const made = this.#made.get(name) ?? (isSeed(secret) ? signingKeyFromSeed(secret) : combinedSigningKey(secret));
    this.#made.set(name, made);
    return made;
  }

  decryption(name: KeyName): DecryptionKey {
    const secret = this.#secret(name);
    const made = this.#opening.get(name) ?? this.#decryptionOf(name, secret);
    this.#opening.set(name, made);
    return made;
  }

  changed({ secrets = new Map(), removed = [], administers, keyBlind, ...besides }: KeyChange): DeviceKeys {
    const all = new Map([...this.secrets, ...secrets]);
    if (administers === true) all.set('meshOnline', this.#secret('deviceMeshSignature'));
    for (const name of removed) all.delete(name);
    const { epochs, master, takenFrom } = this;
    return new KeptKeys(all, keyBlind ?? this.keyBlind, { epochs, master, takenFrom, ...besides });
  }

  #decryptionOf(name: KeyName, secret: KeySecret): DecryptionKey {
    if (!isSeed(secret)) return decryptionKeyFromScalar(secret.scalar, this.key(name).publicKey.udf);
    const key = decryptionKeyFromSeed('Ed448', secret);
    if (name !== 'accountEncryption') return key;
    return { ...key, former: this.epochs.slice(1).map(({ seed }) => decryptionKeyFromSeed('Ed448', seed)) };
  }

  #secret(name: KeyName): KeySecret {
    const secret = this.secrets.get(name);
    if (secret !== undefined) return secret;
    if (name === 'meshOffline' && this.has('meshOnline')) {
      throw new ClientError(
        'usage',
        'this needs the master seed, which this device does not have; use the first device, or bring it back: mesh account recover SHARE…',
      );
    }
    if (administrationKeys.has(name)) {
      throw new ClientError('usage', 'this device does not administer the account; use the one that does');
    }
    throw new ClientError('state', `the key ${name} is missing in ${keysFile}`);
  }
}

const isSeed = (secret: KeySecret): secret is Uint8Array => secret instanceof Uint8Array;

/** Draws all keys of a new device of a new account. */
export function makeDeviceKeys(random: Random): DeviceKeys {
  return keysOfMaster(drawMaster(random), random);
}

/**
 * Keys of a device that has the master seed: those of the Mesh and the account follow from it, all others are drawn. The key by
 * which it administers is its own in the Mesh, so that entry and profile show who administers (S25).
 */
export function keysOfMaster(master: Uint8Array, random: Random): DeviceKeys {
  const secrets = new Map<KeyName, KeySecret>(keyNames.map((name) => [name, generateSeed(random)]));
  for (const name of masterNames) secrets.set(name, seedOfMaster(master, name));
  secrets.set('meshOnline', secrets.get('deviceMeshSignature') as KeySecret);
  const epochs = [{ seed: secrets.get('accountEncryption') as Uint8Array, sinceMs: 0 }];
  return new KeptKeys(secrets, random(keyBlindBytes), { epochs, master, takenFrom: 0 });
}

/**
 * Secrets that were drawn or given elsewhere.
 *
 * @param epochs newest first; by default `accountEncryption` alone, since ever
 */
export function deviceKeysOf(
  secrets: ReadonlyMap<KeyName, KeySecret>,
  keyBlind: Uint8Array,
  epochs: readonly AccountEpoch[] = epochsOfSecrets(secrets),
): DeviceKeys {
  return new KeptKeys(secrets, keyBlind, { epochs, takenFrom: 0 });
}

function epochsOfSecrets(secrets: ReadonlyMap<KeyName, KeySecret>): AccountEpoch[] {
  const secret = secrets.get('accountEncryption');
  return secret !== undefined && isSeed(secret) ? [{ seed: secret, sinceMs: 0 }] : [];
}

/** Writes the secrets, readable by the owner alone. */
export async function saveDeviceKeys(home: Home, keys: DeviceKeys): Promise<void> {
  const { secrets, keyBlind, epochs, master, takenFrom } = keys as KeptKeys;
  const stored: StoredKeys = {
    version: 2,
    keys: Object.fromEntries([...secrets].map(([name, secret]) => [name, storedSecret(secret)])),
    keyBlind: octetsToText(keyBlind),
    epochs: epochs.map(({ seed, sinceMs }) => ({ seed: octetsToText(seed), sinceMs })),
    ...(master === undefined ? {} : { master: octetsToText(master) }),
    takenFrom,
  };
  await home.writeJson(stored, keysFile);
}

/** Reads the secrets. @throws ClientError `state` if they are missing or of another version */
export async function loadDeviceKeys(home: Home): Promise<DeviceKeys> {
  const stored = await home.readJson<StoredKeys | StoredSeeds>(keysFile);
  if (stored?.version !== 1 && stored?.version !== 2) {
    throw new ClientError('state', `${home.path(keysFile)} is missing or of another version; restore it from a backup`);
  }
  const keyBlind = textToOctets(stored.keyBlind);
  if (stored.version === 1) return deviceKeysOf(secretsOfSeeds(stored), keyBlind);
  const secrets = secretsOf(stored);
  const epochs = stored.epochs?.map(({ seed, sinceMs }) => ({ seed: textToOctets(seed), sinceMs }));
  const master = stored.master === undefined ? undefined : textToOctets(stored.master);
  return new KeptKeys(secrets, keyBlind, {
    ...{ epochs: epochs ?? epochsOfSecrets(secrets), master, takenFrom: stored.takenFrom ?? 0 },
  });
}

function secretsOfSeeds({ seeds }: StoredSeeds): Map<KeyName, KeySecret> {
  return new Map(keyNames.map((name) => [name, textToOctets(seeds[name] ?? '')]));
}

function secretsOf({ keys }: StoredKeys): Map<KeyName, KeySecret> {
  return new Map(
    keyNames.flatMap((name): [KeyName, KeySecret][] => {
      const stored = keys[name];
      return stored === undefined ? [] : [[name, readSecret(stored)]];
    }),
  );
}

/** A secret as the home's JSON files hold it. */
function storedSecret(secret: KeySecret): StoredSecret {
  if (isSeed(secret)) return { seed: octetsToText(secret) };
  const { scalar, prefix, publicRaw } = secret;
  return { scalar: scalar.toString(16), prefix: octetsToText(prefix), public: octetsToText(publicRaw) };
}

function readSecret(stored: StoredSecret): KeySecret {
  if ('seed' in stored) return textToOctets(stored.seed);
  const { scalar, prefix, public: raw } = stored;
  return { scalar: BigInt(`0x${scalar}`), prefix: textToOctets(prefix), publicRaw: textToOctets(raw) };
}
