import { createHash, createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto';

// One-shot `hash` saves the hash object: for the 64 to 2,048 octets that are hashed here all day
// that is half of the cost.
const joinedBytesMax = 4096;

function oneShot(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return hash(algorithm, first, 'buffer');
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  // A copy of little costs less than a hash object (measured: half).
  if (bytes <= joinedBytesMax) return hash(algorithm, Buffer.concat(parts, bytes), 'buffer');
  const hasher = createHash(algorithm);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

/** SHA-2-512 (64 octets) of the parts one after another. */
export function sha512(...parts: Uint8Array[]): Uint8Array {
  return oneShot('sha512', parts);
}

/** SHA-2-256 (32 octets) of the parts one after another. */
export function sha256(...parts: Uint8Array[]): Uint8Array {
  return oneShot('sha256', parts);
}

/** SHA-3-512 (64 octets) of the parts one after another. */
export function sha3_512(...parts: Uint8Array[]): Uint8Array {
  return oneShot('sha3-512', parts);
}

/** SHAKE256 with `length` octets of output. */
export function shake256(octets: Uint8Array, length: number): Uint8Array {
  return createHash('shake256', { outputLength: length }).update(octets).digest();
}

/** A key made ready for {@link hmacSha512}: worth it for one that is used often, since making it ready costs two thirds. */
export type MacKey = KeyObject;

/** Makes a MAC key ready. */
export function macKey(octets: Uint8Array): MacKey {
  return createSecretKey(octets);
}

/** HMAC-SHA-2-512 (64 octets). */
export function hmacSha512(key: Uint8Array | MacKey, ...parts: Uint8Array[]): Uint8Array {
  const mac = createHmac('sha512', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Whether the octets are the same. The time depends on the lengths alone, never on the content. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The parts one after another, in a fresh array. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** `x` as 4 octets, big-endian. Throws RangeError outside 0 … 2^32 − 1. */
export function u32(x: number): Uint8Array {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(x);
  return octets;
}

/** `x` as 8 octets, big-endian. Throws RangeError for what is negative, fractional or above 2^64 − 1. */
export function u64(x: number | bigint): Uint8Array {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(x));
  return octets;
}

/** lv(x): 4-octet big-endian length, then the octets; a string stands for its UTF-8. What is missing is the empty string. */
export function lv(x: Uint8Array | string): Uint8Array {
  const bytes = typeof x === 'string' ? Buffer.byteLength(x, 'utf8') : x.length;
  const octets = Buffer.allocUnsafe(4 + bytes);
  octets.writeUInt32BE(bytes);
  if (typeof x === 'string') octets.write(x, 4, 'utf8');
  else octets.set(x, 4);
  return octets;
}

/**
 * The domain label that begins every signed or MACed input (S02): the ASCII octets of `text` and one zero octet.
 * Throws RangeError when `text` is empty or leaves printable ASCII, where two texts could give the same octets.
 */
export function label(text: string): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('a label is printable ASCII without spaces');
  return Buffer.from(`${text}\0`, 'latin1');
}
