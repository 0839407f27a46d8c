/** Octets, digests and text forms, as the rules write them: `lv`, `u32`, `u64`, labels that end in a zero octet. */
import { createHash } from 'node:crypto';

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (octets: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(octets);
export const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
export const zeros = (length: number): Uint8Array => new Uint8Array(length);

export function u32(value: number): Uint8Array {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}

export function u64(value: number): Uint8Array {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(value));
  return octets;
}

/** 4-octet length and the octets; text counts as UTF-8, what is missing as nothing. */
export function lv(part: Uint8Array | string | undefined): Uint8Array {
  const octets = typeof part === 'string' ? utf8(part) : (part ?? zeros(0));
  return concat(u32(octets.length), octets);
}

/** A label: ASCII and one zero octet. */
export const label = (name: string): Uint8Array => concat(utf8(name), zeros(1));

const digest = (algorithm: string, parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};
export const sha512 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha512', parts);
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', parts);

export const b64 = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

/** Strict on purpose: what the provider writes has no folding, padding or foreign alphabet. @throws Error */
export function unb64(value: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(value) || value.length % 4 === 1)
    throw new Error(`not base64url: ${value.slice(0, 40)}`);
  return new Uint8Array(Buffer.from(value, 'base64url'));
}

export const sameOctets = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base32 of the first `bits` bits, in groups of four (encoding 1.2). */
export function base32(octets: Uint8Array, bits: number): string {
  const characters = Math.floor((bits + 4) / 5);
  const all = [...octets].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  const cut = all.slice(0, bits).padEnd(characters * 5, '0');
  const letters = Array.from(
    { length: characters },
    (_, i) => alphabet[Number.parseInt(cut.slice(i * 5, i * 5 + 5), 2)],
  );
  return (letters.join('').match(/.{1,4}/g) ?? []).join('-');
}
