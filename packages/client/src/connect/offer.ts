import { concat, constantTimeEqual, hmacSha512, label, lv, sha512, u64 } from '@meshd/crypto/digest';
import { hkdfExpand, hkdfExtract } from '@meshd/crypto/hkdf';
import { parseUdf, presentUdf, udfType } from '@meshd/crypto/udf';
import { decodeBase32, presentBase32 } from '@meshd/encoding/base32';
import { offerMs } from '@meshd/limits/hailing';
import { ClientError } from '../errors.js';

const earlKeyBytesMin = 16;
const pinBytes = 16;
const offerLabel = label('mesh-offer-1');
const extractSalt = Buffer.from('mesh-earl-1', 'ascii');
const authenticatorBytes = 35;
const authenticatorType = Uint8Array.of(udfType.authenticator);

/** What an offer says to a device: who invites it, and when (S56). */
export interface OfferParts {
  readonly deviceUdf: string;
  /** Canonical address of the account that the device is invited to. */
  readonly account: string;
  /** 64-octet fingerprint of the Mesh's offline key. */
  readonly meshFingerprint: Uint8Array;
  /** 16 octets: a device takes a nonce once. */
  readonly offerNonce: Uint8Array;
  readonly createdMs: number;
}

/**
 * The secret behind a device's code.
 *
 * @param keyUdf the code itself, `E…`
 * @throws ClientError `connect` for what is not a key of at least 128 bits
 */
export function earlSecret(keyUdf: string): Uint8Array {
  const { typeId, data } = parseUdf(keyUdf);
  if (typeId !== udfType.encryptionKey || data.length < earlKeyBytesMin) {
    throw new ClientError(
      'connect',
      'this is not the code of a device: it begins with E and has at least 28 characters',
    );
  }
  return hkdfExtract('sha512', extractSalt, data);
}

/** The digest that an offer is authenticated by. */
export function offerDigest(parts: OfferParts): Uint8Array {
  return sha512(
    offerLabel,
    lv(parts.deviceUdf),
    lv(parts.account),
    parts.meshFingerprint,
    parts.offerNonce,
    u64(parts.createdMs),
  );
}

/** `Authenticator` of an OfferConnection, 56 characters: proves that its maker has scanned the device's code. */
export function offerAuthenticator(secret: Uint8Array, offer: Uint8Array): string {
  const mac = hmacSha512(hkdfExpand('sha512', secret, 'offer', 64), offer);
  return presentBase32(concat(authenticatorType, mac).subarray(0, authenticatorBytes));
}

/** The PIN that the device, and nobody who has not scanned its code, connects by after the offer (S56). */
export function offerPin(secret: Uint8Array, offer: Uint8Array): string {
  const info = concat(Buffer.from('pin', 'ascii'), offer);
  return presentUdf(concat(Uint8Array.of(udfType.nonce), hkdfExpand('sha512', secret, info, pinBytes)));
}

/**
 * What a device checks of an offer before it acts on it: who made it, its age, and that it is none of those it has
 * taken before (S56).
 *
 * @param usedNonces `OfferNonce` of the offers that were taken, in base64url
 * @throws ClientError `connect`
 */
export function checkOffer(input: {
  readonly secret: Uint8Array;
  readonly parts: OfferParts;
  readonly authenticator: string;
  readonly usedNonces: ReadonlySet<string>;
  readonly nowMs: number;
}): void {
  const { secret, parts, authenticator, usedNonces, nowMs } = input;
  const expected = decodeBase32(offerAuthenticator(secret, offerDigest(parts)));
  if (!constantTimeEqual(octetsOfText(authenticator), expected)) {
    throw new ClientError('connect', 'the offer was made without the code of this device; it is ignored');
  }
  const ageMs = nowMs - parts.createdMs;
  if (Math.abs(ageMs) > offerMs) {
    throw new ClientError('connect', 'the offer is more than 7 days old; have a new one made');
  }
  if (usedNonces.has(Buffer.from(parts.offerNonce).toString('base64url'))) {
    throw new ClientError('connect', 'this device has taken that offer before; have a new one made');
  }
}

/** Whoever made it wrote the text. */
function octetsOfText(text: string): Uint8Array {
  try {
    return decodeBase32(text);
  } catch {
    return new Uint8Array(0);
  }
}
