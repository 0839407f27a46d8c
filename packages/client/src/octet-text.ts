/** Octets as the base64url text in which the home's JSON files hold them. */
export function octetsToText(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url');
}

/** Reads what {@link octetsToText} wrote. The files are the device's own; what they mean is verified where it counts. */
export function textToOctets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
