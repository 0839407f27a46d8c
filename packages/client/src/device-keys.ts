import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { ClientError } from './errors.js';
import type { Home } from './home.js';

/**
 * Every key of the first device of an account, by its place in the profiles. The first device makes the keys of its
 * connections itself, from seeds; devices that are connected later get theirs as combined keys.
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

interface StoredKeys {
  version: 1;
  /** Ed448 seeds in base64url, 57 octets each. */
  seeds: Record<KeyName, string>;
  keyBlind: string;
}

/** The device's secrets; nothing of them leaves this object but signatures, decryption and blinded names. */
export interface DeviceKeys {
  /** Signing key (and with it the public key) of a place. Made once. */
  key(name: KeyName): SigningKey;
  /** The seed, for decryption with the key of that place. */
  seed(name: KeyName): Uint8Array;
  /** The account's key for blinded names (S63), 32 octets. */
  readonly keyBlind: Uint8Array;
}

class SeedKeys implements DeviceKeys {
  readonly keyBlind: Uint8Array;
  readonly #seeds: ReadonlyMap<KeyName, Uint8Array>;
  readonly #made = new Map<KeyName, SigningKey>();

  constructor(seeds: ReadonlyMap<KeyName, Uint8Array>, keyBlind: Uint8Array) {
    this.#seeds = seeds;
    this.keyBlind = keyBlind;
  }

  seed(name: KeyName): Uint8Array {
    const seed = this.#seeds.get(name);
    if (seed === undefined) throw new ClientError('state', `the key ${name} is missing in ${keysFile}`);
    return seed;
  }

  key(name: KeyName): SigningKey {
    const made = this.#made.get(name) ?? signingKeyFromSeed(this.seed(name));
    this.#made.set(name, made);
    return made;
  }
}

/** Draws all keys of a new device. */
export function makeDeviceKeys(random: Random): DeviceKeys {
  return new SeedKeys(new Map(keyNames.map((name) => [name, generateSeed(random)])), random(keyBlindBytes));
}

/** Writes the secrets, readable by the owner alone. */
export async function saveDeviceKeys(home: Home, keys: DeviceKeys): Promise<void> {
  const text = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');
  const seeds = Object.fromEntries(keyNames.map((name) => [name, text(keys.seed(name))])) as Record<KeyName, string>;
  const stored: StoredKeys = { version: 1, seeds, keyBlind: text(keys.keyBlind) };
  await home.writeJson(stored, keysFile);
}

/** Reads the secrets. @throws ClientError `state` if they are missing or of another version */
export async function loadDeviceKeys(home: Home): Promise<DeviceKeys> {
  const stored = await home.readJson<StoredKeys>(keysFile);
  if (stored?.version !== 1) {
    throw new ClientError('state', `${home.path(keysFile)} is missing or of another version; restore it from a backup`);
  }
  const octets = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'));
  const seeds = new Map(keyNames.map((name) => [name, octets(stored.seeds[name] ?? '')]));
  return new SeedKeys(seeds, octets(stored.keyBlind));
}
