import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { concat, constantTimeEqual, hmacSha512, label } from '@meshd/crypto/digest';
import { hkdfExpand } from '@meshd/crypto/hkdf';
import type { Random } from '@meshd/crypto/random';
import { nonceUdf, parseUdf, udfEquals, udfType } from '@meshd/crypto/udf';
import { presentBase32 } from '@meshd/encoding/base32';
import { ClientError } from '../errors.js';
import type { MeshParts } from './transcript.js';

const pinBits = 80;
const pinBytesMin = pinBits / 8;
const authenticatorType = Uint8Array.of(udfType.authenticator);
// S54: a search of 80 bits within the PIN's day has to pay this price for every guess.
const stretch = { N: 32768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
const stretchedBytes = 64;
const directionKeyBytes = 64;
const labels = {
  salt: label('mesh-pin-1'),
  device: label('mesh-pin-device-1'),
  admin: label('mesh-pin-admin-1'),
} as const;
const scryptAsync = promisify<Uint8Array, Uint8Array, number, typeof stretch, Buffer>(scrypt);

/** A PIN made slow to guess, for one account. */
export type StretchedPin = Uint8Array & { readonly stretchedPin: unique symbol };

/** A fresh PIN: 80 random bits as a nonce UDF. Never chosen by a person (S54). */
export function makePin(random: Random): string {
  return nonceUdf(random, pinBits);
}

/** @throws ClientError `connect` for what is not a PIN of at least 80 bits */
function octetsOf(pin: string): Uint8Array {
  const malformed = (cause?: unknown) =>
    new ClientError('connect', 'this is not a PIN: it begins with N and has at least 18 characters', { cause });
  try {
    const { typeId, data } = parseUdf(pin.trim());
    if (typeId === udfType.nonce && data.length >= pinBytesMin) return data;
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

/**
 * Stretches a PIN (S54): a tenth of a second of one core.
 *
 * @param account canonical address
 * @throws ClientError `connect` for what is not a PIN of at least 80 bits
 */
export async function stretchPin(pin: string, account: string): Promise<StretchedPin> {
  const salt = concat(labels.salt, Buffer.from(account, 'utf8'));
  return (await scryptAsync(octetsOf(pin), salt, stretchedBytes, stretch)) as Uint8Array as StretchedPin;
}

function directionKey(pin: StretchedPin, direction: 'device' | 'admin'): Uint8Array {
  return hkdfExpand('sha512', pin, direction, directionKeyBytes);
}

/**
 * `PinUDF` of a connection request: proves that the device was given the PIN, for this very request (S54).
 *
 * @param pinned see `pinnedDigest`
 */
export function pinUdf(pin: StretchedPin, pinned: Uint8Array): string {
  const mac = hmacSha512(directionKey(pin, 'device'), labels.device, pinned);
  return presentBase32(concat(authenticatorType, mac).subarray(0, 35));
}

/** Whether a request's `PinUDF` was made with this PIN for this request. */
export function isPinUdf(claimed: string, pin: StretchedPin, pinned: Uint8Array): boolean {
  return udfEquals(claimed, pinUdf(pin, pinned));
}

/**
 * `PinWitness` of an ActivationDevice: proves to the device that who gave out the PIN made this connection, into this
 * Mesh and account (S54).
 *
 * @param connectionDeviceDigest PayloadDigest of the ConnectionDevice
 */
export function pinWitness(
  pin: StretchedPin,
  pinned: Uint8Array,
  mesh: MeshParts,
  connectionDeviceDigest: Uint8Array,
): Uint8Array {
  return hmacSha512(
    directionKey(pin, 'admin'),
    labels.admin,
    pinned,
    mesh.meshFingerprint,
    mesh.profileMeshDigest,
    mesh.profileAccountDigest,
    connectionDeviceDigest,
  );
}

/** @throws ClientError `connect` if the activation was not made by who gave out the PIN */
export function checkPinWitness(claimed: Uint8Array | undefined, expected: Uint8Array): void {
  if (claimed !== undefined && constantTimeEqual(claimed, expected)) return;
  throw new ClientError(
    'connect',
    'the connection does not prove the PIN: it was made by somebody else; nothing was used',
  );
}
