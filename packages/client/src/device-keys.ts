import { type CombinedKey, combinedSigningKey } from '@meshd/crypto/combined-key';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { type DecryptionKey, decryptionKeyFromScalar, decryptionKeyFromSeed } from '@meshd/dare/recipients';
import { ClientError } from './errors.js';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';

/**
 * Every key that a device may have, by its place in the profiles. The first device of an account draws all of them from
 * seeds. A device that is connected later has its own base keys from seeds, the keys of its connections as combined keys
 * (S13), the account's reading key from its activation, and none of the keys that administer the account.
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

type StoredSecret =
  | { readonly seed: string }
  | { readonly scalar: string; readonly prefix: string; readonly public: string };

interface StoredKeys {
  version: 2;
  /** Octets in base64url, scalars in hexadecimal. */
  keys: Partial<Record<KeyName, StoredSecret>>;
  keyBlind: string;
}

/** As homes were written before devices could be connected. */
interface StoredSeeds {
  version: 1;
  seeds: Record<KeyName, string>;
  keyBlind: string;
}

/** The device's secrets; nothing of them leaves this object but signatures, decryption and blinded names. */
export interface DeviceKeys {
  /** Whether the device has the key of a place. */
  has(name: KeyName): boolean;
  /** Signing key (and with it the public key) of a place. Made once. @throws ClientError `usage`, `state` */
  key(name: KeyName): SigningKey;
  /** Decryption with the key of a place. Made once: it costs a point multiplication. @throws as `key` */
  decryption(name: KeyName): DecryptionKey;
  /** The seed, to hand it on (S62). @throws ClientError `state` where the key has none */
  seed(name: KeyName): Uint8Array;
  /** The account's key for blinded names (S63), 32 octets. */
  readonly keyBlind: Uint8Array;
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
  readonly #made = new Map<KeyName, SigningKey>();
  readonly #opening = new Map<KeyName, DecryptionKey>();

  constructor(secrets: ReadonlyMap<KeyName, KeySecret>, keyBlind: Uint8Array) {
    this.secrets = secrets;
    this.keyBlind = keyBlind;
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

  #decryptionOf(name: KeyName, secret: KeySecret): DecryptionKey {
    if (isSeed(secret)) return decryptionKeyFromSeed('Ed448', secret);
    return decryptionKeyFromScalar(secret.scalar, this.key(name).publicKey.udf);
  }

  #secret(name: KeyName): KeySecret {
    const secret = this.secrets.get(name);
    if (secret !== undefined) return secret;
    if (administrationKeys.has(name)) {
      throw new ClientError('usage', 'this device does not administer the account; use the one that does');
    }
    throw new ClientError('state', `the key ${name} is missing in ${keysFile}`);
  }
}

const isSeed = (secret: KeySecret): secret is Uint8Array => secret instanceof Uint8Array;

/** Draws all keys of a new device of a new account. */
export function makeDeviceKeys(random: Random): DeviceKeys {
  return deviceKeysOf(new Map(keyNames.map((name) => [name, generateSeed(random)])), random(keyBlindBytes));
}

/** Secrets that were drawn or given elsewhere. */
export function deviceKeysOf(secrets: ReadonlyMap<KeyName, KeySecret>, keyBlind: Uint8Array): DeviceKeys {
  return new KeptKeys(secrets, keyBlind);
}

/** Writes the secrets, readable by the owner alone. */
export async function saveDeviceKeys(home: Home, keys: DeviceKeys): Promise<void> {
  const { secrets, keyBlind } = keys as KeptKeys;
  const stored: StoredKeys = {
    version: 2,
    keys: Object.fromEntries([...secrets].map(([name, secret]) => [name, storedSecret(secret)])),
    keyBlind: octetsToText(keyBlind),
  };
  await home.writeJson(stored, keysFile);
}

/** Reads the secrets. @throws ClientError `state` if they are missing or of another version */
export async function loadDeviceKeys(home: Home): Promise<DeviceKeys> {
  const stored = await home.readJson<StoredKeys | StoredSeeds>(keysFile);
  if (stored?.version !== 1 && stored?.version !== 2) {
    throw new ClientError('state', `${home.path(keysFile)} is missing or of another version; restore it from a backup`);
  }
  const secrets = stored.version === 1 ? secretsOfSeeds(stored) : secretsOf(stored);
  return deviceKeysOf(secrets, textToOctets(stored.keyBlind));
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
