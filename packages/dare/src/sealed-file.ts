import { concat, u64 } from '@meshd/crypto/digest';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import type { Random } from '@meshd/crypto/random';
import { largePlainBytes } from '@meshd/limits/large';
import { contentKeys, decryptContent, encryptContent } from './content-cipher.js';
import { DareError } from './errors.js';

/*
 * Files too large for an envelope, sealed in slices that can be verified one by one (large data by reference).
 *
 * One key, that of the EARL, opens the file. Each slice has a master key of its own, derived from that key, the slice's place
 * and the count of all: a slice that was moved, left out or taken from elsewhere does not open. Under it stands an ordinary
 * `A256GCM` content (S60) with a fresh salt, so that sealing the same place again, after a crash and perhaps with other
 * octets, never uses a nonce twice. The last slice is padded with zeros, so that the length tells little; the length itself
 * is told by the message.
 */

/** Salt before and tag behind each slice. */
const saltBytes = 16;
const overheadBytes = saltBytes + 16;
/** As envelopes from 4 KiB on (S60). */
const padStep = 1024;
/** Octets of a raw Ed448 seed. */
const seedBytes = 57;

/** Where the slices of a file lie. Sizes are octets. */
export interface SliceLayout {
  /** Of the file. */
  readonly plainBytes: number;
  readonly sliceCount: number;
  /** Of all slices, sealed. */
  readonly sealedBytes: number;
  /** Octets of the file in a slice. */
  plainBytesOf(slice: number): number;
  /** Octets of a slice, sealed. */
  sealedBytesOf(slice: number): number;
  /** Where a sealed slice begins. */
  sealedOffsetOf(slice: number): number;
}

/**
 * The layout of a file of so many octets; an empty one has one slice.
 *
 * @throws DareError `limit` for what is no size
 */
export function sliceLayout(plainBytes: number): SliceLayout {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) throw new DareError('limit', 'not the size of a file');
  const sliceCount = Math.max(1, Math.ceil(plainBytes / largePlainBytes));
  const lastPlainBytes = plainBytes - (sliceCount - 1) * largePlainBytes;
  const fullBytes = largePlainBytes + overheadBytes;
  const lastBytes = padded(lastPlainBytes) + overheadBytes;
  const isLast = (slice: number) => slice === sliceCount - 1;
  return {
    plainBytes,
    sliceCount,
    sealedBytes: (sliceCount - 1) * fullBytes + lastBytes,
    plainBytesOf: (slice) => (isLast(slice) ? lastPlainBytes : largePlainBytes),
    sealedBytesOf: (slice) => (isLast(slice) ? lastBytes : fullBytes),
    sealedOffsetOf: (slice) => slice * fullBytes,
  };
}

function padded(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / padStep)) * padStep;
}

/** What a locator's key gives. Everything is derived, so that the locator is all that a message carries. */
export class FileSecrets {
  readonly #extracted: Uint8Array;

  /** @param key octets of the EARL key */
  constructor(key: Uint8Array) {
    this.#extracted = hkdfExtract('sha512', Buffer.from('mesh-large-1', 'ascii'), key);
  }

  /** Seed of the key that signs requests for the file: who holds the locator may fetch, and the service cannot open. */
  get readerSeed(): Uint8Array {
    return hkdfExpand('sha512', this.#extracted, 'reader', seedBytes);
  }

  /** Seed of the profile that names this key. */
  get profileSeed(): Uint8Array {
    return hkdfExpand('sha512', this.#extracted, 'profile', seedBytes);
  }

  /**
   * Seals a slice under a fresh salt.
   *
   * @throws DareError `limit` where it has not the octets that its place has
   */
  seal(layout: SliceLayout, slice: number, plain: Uint8Array, random: Random): Uint8Array {
    if (plain.length !== layout.plainBytesOf(slice)) throw new DareError('limit', 'a slice of the wrong size');
    const salt = random(saltBytes);
    const keys = contentKeys(this.#masterKey(layout, slice), salt);
    const whole = new Uint8Array(layout.sealedBytesOf(slice) - overheadBytes);
    whole.set(plain);
    return concat(salt, encryptContent('A256GCM', keys, whole));
  }

  /**
   * Opens a slice: what comes back is what was sealed for this place of a file of this size, to the last octet.
   *
   * @throws DareError `decrypt`
   */
  open(layout: SliceLayout, slice: number, sealed: Uint8Array): Uint8Array {
    if (sealed.length !== layout.sealedBytesOf(slice)) throw new DareError('decrypt', 'a slice of the wrong size');
    const keys = contentKeys(this.#masterKey(layout, slice), sealed.subarray(0, saltBytes));
    const whole = decryptContent('A256GCM', keys, sealed.subarray(saltBytes));
    return whole.subarray(0, layout.plainBytesOf(slice));
  }

  #masterKey({ sliceCount }: SliceLayout, slice: number): Uint8Array {
    const info = concat(Buffer.from('slice', 'ascii'), u64(slice), u64(sliceCount));
    return hkdfExpand('sha512', this.#extracted, info, 32);
  }
}
