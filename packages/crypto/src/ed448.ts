import {
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
} from 'node:crypto';
import { importedKeysMax } from '@meshd/limits/limits';
import {
  agreeOnPoint,
  checkedPoint,
  ed448KeyBytes,
  ed448Order,
  expandSeed,
  octetsOfInteger,
  publicPoint,
  reducedScalar,
} from './ed448-point.js';
import { type ScalarKey, signWithScalar } from './ed448-scalar.js';
import { fingerprint64, udfOfFingerprint } from './key-udf.js';
import { Lru } from './lru.js';
import { type Random, systemRandom } from './random.js';

/** Octets of an Ed448 signature: the point R and the scalar S. */
export const ed448SignatureBytes = 114;

// Octets that stand before the raw key in a standard SubjectPublicKeyInfo and in a PKCS #8 private key.
const spkiPrefix = Buffer.from('3043300506032b6571033a00', 'hex');
const pkcs8Prefix = Buffer.from('3047020100300506032b6571043b0439', 'hex');

let makePublicKey: (raw: Uint8Array, native: KeyObject) => PublicKeyEd448;
let nativeKeyOf: (key: PublicKeyEd448) => KeyObject;

/**
 * An Ed448 public key that passed the import check. Only {@link importPublicKey} makes one, so that holding the object
 * is proof of the check (S10). Equal raw octets mean the same key; equal UDFs only suggest it (S04).
 */
export class PublicKeyEd448 {
  /** The 57 octets of RFC 8032. Not to be written to. */
  readonly raw: Uint8Array;
  /** The key's UDF, as `kid` carries it. */
  readonly udf: string;
  /** fp64, the 64-octet fingerprint. */
  readonly fingerprint: Uint8Array;
  readonly #native: KeyObject;

  static {
    makePublicKey = (raw, native) => new PublicKeyEd448(raw, native);
    nativeKeyOf = (key) => key.#native;
  }

  private constructor(raw: Uint8Array, native: KeyObject) {
    this.raw = raw;
    this.fingerprint = fingerprint64('Ed448', raw);
    this.udf = udfOfFingerprint(this.fingerprint);
    this.#native = native;
  }

  /** Whether both are the same key: raw octets are compared, never names (S04). */
  equals(other: PublicKeyEd448): boolean {
    return this === other || Buffer.compare(this.raw, other.raw) === 0;
  }
}

const imported = new Lru<PublicKeyEd448>(importedKeysMax);

/**
 * Imports a raw key after the check of S10. Cached by the raw octets: the check costs as much as three
 * verifications, and the same devices come again. Throws CryptoError `key-refused` with the reason.
 */
export function importPublicKey(raw: Uint8Array): PublicKeyEd448 {
  const cacheKey = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1');
  const known = imported.get(cacheKey);
  if (known !== undefined) return known;
  checkedPoint(raw);
  const own = Uint8Array.from(raw);
  const x = Buffer.from(own).toString('base64url');
  const native = createPublicKey({ key: { kty: 'OKP', crv: 'Ed448', x }, format: 'jwk' });
  const key = makePublicKey(own, native);
  imported.set(cacheKey, key);
  return key;
}

// The last octets of the order, most significant first: S is compared with them and nearly always differs at once.
const orderOctets = octetsOfInteger(ed448Order, ed448KeyBytes);

/** Whether the octets can be a signature at all: exact length and S below the group order (S11). */
export function isSignatureForm(signature: Uint8Array): boolean {
  if (signature.length !== ed448SignatureBytes) return false;
  for (let i = ed448KeyBytes - 1; i >= 0; i--) {
    const octet = signature[ed448KeyBytes + i] as number;
    const bound = orderOctets[i] as number;
    if (octet !== bound) return octet < bound;
  }
  return false;
}

/** Whether the signature is valid: pure Ed448, empty context. Never throws for a malformed signature. */
export function verify(key: PublicKeyEd448, message: Uint8Array, signature: Uint8Array): boolean {
  return isSignatureForm(signature) && cryptoVerify(null, message, nativeKeyOf(key), signature);
}

/** As {@link verify}, in node's thread pool: the event loop stays free and all cores take part. */
export function verifyAsync(key: PublicKeyEd448, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (!isSignatureForm(signature)) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    cryptoVerify(null, message, nativeKeyOf(key), signature, (error, valid) => {
      if (error) reject(error);
      else resolve(valid);
    });
  });
}

/** A private key that signs. Its octets stay inside. */
export interface SigningKey {
  readonly publicKey: PublicKeyEd448;
  /** 114 octets: pure Ed448 over `message`, empty context. */
  sign(message: Uint8Array): Uint8Array;
  /** As `sign`, in the thread pool where the key has a native form. */
  signAsync(message: Uint8Array): Promise<Uint8Array>;
}

/** A fresh seed of 57 octets. */
export function generateSeed(random: Random = systemRandom): Uint8Array {
  return random(ed448KeyBytes);
}

/**
 * The signing key of a seed: 57 octets natively, 56 octets (reference implementation, `Z` seeds) by arithmetic, which
 * is slow and not constant in time. Throws CryptoError `key-refused` for other lengths.
 */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  return seed.length === ed448KeyBytes ? nativeSigningKey(seed) : signingKeyOfScalar(scalarKeyFromSeed(seed));
}

function nativeSigningKey(seed: Uint8Array): SigningKey {
  const der = Buffer.concat([pkcs8Prefix, seed]);
  const native = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(native).export({ format: 'der', type: 'spki' });
  return {
    publicKey: importPublicKey(spki.subarray(spkiPrefix.length)),
    sign: (message) => cryptoSign(null, message, native),
    signAsync: (message) =>
      new Promise((resolve, reject) => {
        cryptoSign(null, message, native, (error, signature) => {
          if (error) reject(error);
          else resolve(signature);
        });
      }),
  };
}

/** Scalar, prefix and public key of a seed, for keys that cannot be used natively. Throws as {@link expandSeed}. */
export function scalarKeyFromSeed(seed: Uint8Array): ScalarKey {
  const { scalar, prefix } = expandSeed(seed);
  return { scalar: reducedScalar(scalar), prefix, publicRaw: publicPoint(scalar).toBytes() };
}

/** A signing key of a bare scalar; `hedge` gives the fresh octets that enter each nonce (none: RFC 8032 exactly). */
export function signingKeyOfScalar(key: ScalarKey, hedge?: () => Uint8Array): SigningKey {
  const sign = (message: Uint8Array): Uint8Array => signWithScalar(key, message, hedge?.());
  return {
    publicKey: importPublicKey(key.publicRaw),
    sign,
    signAsync: async (message) => sign(message),
  };
}

/**
 * Agreement on Ed448 (S12) of a seed (56 or 57 octets) or a scalar with a peer's raw key, which first passes the
 * import check. 57 octets. Only clients do this with long-term keys, on their own machines: it is not constant in time.
 * Throws CryptoError `key-refused` or `agreement-refused`.
 */
export function agree(seedOrScalar: Uint8Array | bigint, peerRaw: Uint8Array): Uint8Array {
  const scalar = typeof seedOrScalar === 'bigint' ? seedOrScalar : expandSeed(seedOrScalar).scalar;
  return agreeOnPoint(scalar, checkedPoint(peerRaw));
}
