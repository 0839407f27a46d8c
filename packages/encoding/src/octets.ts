/** The same memory as a Buffer. */
export function asBuffer(octets: Uint8Array): Buffer {
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** The same memory as a plain Uint8Array: a Buffer that leaves us would surprise, since its `slice` copies nothing. */
export function asPlain(octets: Buffer): Uint8Array {
  return new Uint8Array(octets.buffer, octets.byteOffset, octets.byteLength);
}
