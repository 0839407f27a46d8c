import { type CombinedKey, combinePublicKeys, combineSeeds } from '@meshd/crypto/combined-key';
import { generateSeed, type PublicKeyEd448, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import type { Random } from '@meshd/crypto/random';
import type { KeyOverlay } from '@meshd/schema/keys';
import { ClientError } from '../errors.js';

/** What an administrator makes of one base key of a device. */
export interface MadeOverlay {
  /** The sum, which stands in the connection. */
  readonly combined: PublicKeyEd448;
  /** The private half, for the activation alone: it goes encrypted to the device and is kept nowhere else (S52). */
  readonly overlay: KeyOverlay;
}

/**
 * Draws the second half of a device's key (S13, semantics 7.5).
 *
 * @param base the key of that role in the device's profile
 * @throws CryptoError `key-refused` if the sum is not a key
 */
export function makeOverlay(base: PublicKeyEd448, random: Random): MadeOverlay {
  const seed = generateSeed(random);
  const combined = combinePublicKeys(base.raw, signingKeyFromSeed(seed).publicKey.raw);
  return {
    combined,
    overlay: {
      UDF: combined.udf,
      BaseUDF: base.udf,
      Overlay: { tag: 'PrivateKeyECDH', value: { crv: 'Ed448', Private: seed } },
    },
  };
}

/**
 * Adds the second half to the device's own (S13). The sum must be the key that the connection names for that role:
 * the administrator cannot make a key of which he knows the private half, and the manufacturer, who may know the
 * base key, does not know the other.
 *
 * @param baseSeed the device's own secret of that role
 * @param connectionKey what the signed connection says the device's key is
 * @throws ClientError `connect` if the overlay is none, belongs to another key or gives another sum
 */
export function combineOverlay(
  baseSeed: Uint8Array,
  overlay: KeyOverlay | undefined,
  connectionKey: PublicKeyEd448,
): CombinedKey {
  const base = signingKeyFromSeed(baseSeed).publicKey;
  const secret = overlay?.Overlay;
  if (secret?.tag !== 'PrivateKeyECDH' || secret.value.crv !== 'Ed448' || secret.value.Private === undefined) {
    throw new ClientError('connect', 'the activation has no overlay for a key of this device');
  }
  if (overlay?.BaseUDF !== base.udf) throw new ClientError('connect', 'the activation is for a key of another device');
  try {
    const overlayRaw = signingKeyFromSeed(secret.value.Private).publicKey.raw;
    const combined = combineSeeds({ baseSeed, overlaySeed: secret.value.Private, baseRaw: base.raw, overlayRaw });
    if (Buffer.compare(combined.publicRaw, connectionKey.raw) !== 0 || overlay.UDF !== connectionKey.udf) {
      throw new ClientError('connect', 'the activation does not make the key that the connection names');
    }
    return combined;
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new ClientError('connect', 'the activation holds no usable key', { cause });
  }
}
