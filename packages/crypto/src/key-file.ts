import { type Curve, curveOfName } from './curves.js';
import { constantTimeEqual } from './digest.js';
import { CryptoError } from './errors.js';
import { udfOfKey } from './key-udf.js';
import { publicOfSeed } from './raw-key.js';

/** A key at rest: what `mesh key new` and `mesh-admin service init` write. The seed is secret. */
export interface KeyFile {
  readonly curve: Curve;
  readonly seed: Uint8Array;
  readonly publicRaw: Uint8Array;
  readonly udf: string;
}

/** A key file from its seed. Throws CryptoError `key-refused` for a seed of a wrong length. */
export function keyFileOfSeed(curve: Curve, seed: Uint8Array): KeyFile {
  const publicRaw = publicOfSeed(curve, seed);
  return { curve, seed, publicRaw, udf: udfOfKey(curve, publicRaw) };
}

/** The file's octets: one JSON object, binary members in base64url. Whoever writes them sets mode 0600. */
export function writeKeyFile(key: KeyFile): Uint8Array {
  const base64Url = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');
  const members = { curve: key.curve, seed: base64Url(key.seed), public: base64Url(key.publicRaw), udf: key.udf };
  return Buffer.from(`${JSON.stringify(members, null, 1)}\n`, 'utf8');
}

/**
 * Reads a key file. Public key and UDF are recomputed from the seed, and a file that says otherwise is refused.
 * Throws CryptoError `key-file`; the message never repeats the content.
 */
export function readKeyFile(octets: Uint8Array): KeyFile {
  const members = parseMembers(octets);
  const text = (name: string): string => {
    const value = members[name];
    if (typeof value !== 'string') throw new CryptoError('key-file', `the key file has no member ${name}`);
    return value;
  };
  let key: KeyFile;
  try {
    key = keyFileOfSeed(curveOfName(text('curve')), Buffer.from(text('seed'), 'base64url'));
  } catch (cause) {
    if (cause instanceof CryptoError && cause.code === 'key-file') throw cause;
    throw new CryptoError('key-file', 'the key file holds no usable key', { cause });
  }
  const same = constantTimeEqual(key.publicRaw, Buffer.from(text('public'), 'base64url'));
  if (!same || key.udf !== text('udf')) throw new CryptoError('key-file', 'the key file contradicts itself');
  return key;
}

function parseMembers(octets: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets).toString('utf8'));
  } catch {
    // The parser's message would quote the secret: it is not passed on.
    throw new CryptoError('key-file', 'the key file is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new CryptoError('key-file', 'the key file is no JSON object');
  return value as Record<string, unknown>;
}
