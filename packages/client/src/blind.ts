import { hmacSha512, label } from '@meshd/crypto/digest';
import { presentBase32 } from '@meshd/encoding/base32';

const blindLabel = label('mesh-blind-1');
/** Type octet of an authenticator UDF made with HMAC-SHA-2-512. */
const authenticatorType = Uint8Array.of(0x00);
/** 56 characters of Base32. */
const blindBits = 280;

/** Containers whose keys stay in clear: the service reads the device catalog, and contacts are keyed by a nonce. */
const clearContainers: ReadonlySet<string> = new Set(['mmm_Device', 'mmm_Contact']);

/**
 * The `UniqueID` under which an item is filed (S63): a MAC of its plain key, so that the service sees that the same
 * item changes but not which.
 *
 * @param keyBlind 32 octets, kept for the life of the container
 */
export function blindedId(keyBlind: Uint8Array, container: string, plainKey: string): string {
  const containerKey = hmacSha512(keyBlind, blindLabel, Buffer.from(container, 'utf8'));
  const mac = hmacSha512(containerKey, Buffer.from(plainKey, 'utf8'));
  return presentBase32(Buffer.concat([authenticatorType, mac]), blindBits);
}

/** The `UniqueID` that the default of S63 gives: blinded, except where keys are meant to be read. */
export function uniqueIdFor(keyBlind: Uint8Array, container: string, plainKey: string): string {
  return clearContainers.has(container) ? plainKey : blindedId(keyBlind, container, plainKey);
}
