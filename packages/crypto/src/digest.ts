import { createHash, createHmac, hash, timingSafeEqual } from 'node:crypto';

// One-shot `hash` saves the hash object: for the 64 to 2,048 octets that are hashed here all day
// that is half of the cost.
const joinedBytesMax = 4096;
/** Where parts are put together: nothing is awaited between that and their digest. */
const joined = Buffer.allocUnsafeSlow(joinedBytesMax);

/**
 * Digests come as text, one octet a character, and are written into memory that some of them share: a buffer of its own for
 * each costs four times as much as the digest (measured: 2.6 and 0.7 µs). Small, since one digest that is kept keeps it all.
 */
const slabBytes = 1024;
let slab = Buffer.allocUnsafeSlow(slabBytes);
let slabAt = 0;

function octetsOf(text: string): Uint8Array {
  if (slabAt + text.length > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabAt = 0;
  }
  const from = slabAt;
  slabAt += slab.write(text, from, 'latin1');
  return slab.subarray(from, slabAt);
}

function oneShot(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return octetsOf(hash(algorithm, first, 'binary'));
  let bytes = 0;
  for (const { length } of parts) bytes += length;
  // A copy of little costs less than a hash object (measured: half).
  if (bytes <= joinedBytesMax) return octetsOf(hash(algorithm, join(parts, bytes), 'binary'));
  const hasher = createHash(algorithm);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

function join(parts: readonly Uint8Array[], bytes: number): Buffer {
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined.subarray(0, bytes);
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

const blockBytes = 128;
const digestBytes = 64;

/**
 * A key made ready for {@link hmacSha512}: worth it for one that is used often. A MAC under it is two one-shot digests
 * (RFC 2104), where an object of the library's is made, keyed and dropped for every MAC (measured: half as much again).
 */
export class MacKey {
  readonly #inner: Buffer;
  /** The outer pad, and room for the inner digest. */
  readonly #outer: Buffer;

  /** @param octets the key, of any length */
  constructor(octets: Uint8Array) {
    const key = octets.length > blockBytes ? sha512(octets) : octets;
    this.#inner = Buffer.alloc(blockBytes, 0x36);
    this.#outer = Buffer.alloc(blockBytes + digestBytes, 0x5c);
    for (const [at, octet] of key.entries()) {
      this.#inner[at] = octet ^ 0x36;
      this.#outer[at] = octet ^ 0x5c;
    }
  }

  /** The MAC of the parts one after another, 64 octets. */
  mac(parts: readonly Uint8Array[]): Uint8Array {
    this.#outer.set(oneShot('sha512', [this.#inner, ...parts]), blockBytes);
    return octetsOf(hash('sha512', this.#outer, 'binary'));
  }
}

/** HMAC-SHA-2-512 (64 octets). */
export function hmacSha512(key: Uint8Array | MacKey, ...parts: Uint8Array[]): Uint8Array {
  if (key instanceof MacKey) return key.mac(parts);
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
