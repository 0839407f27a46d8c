import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { Random } from '@meshd/crypto/random';
import { earlIdentifier, encryptionKeyUdf, parseUdf, udfType } from '@meshd/crypto/udf';
import { decryptWithMasterKey } from '@meshd/dare/decrypt';
import { encryptWithMasterKey } from '@meshd/dare/encrypt';
import { type EnvelopeOctets, openEnvelope, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import { canonicalAddress, canonicalDomain } from '@meshd/schema/address';
import { itemContentType } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import { DeviceDescription } from '@meshd/schema/service';
import { ClientError } from '../errors.js';
import { earlSecret } from './offer.js';

/*
 * The code on a device without display or keys (semantics 7.6, encoding 1.9): an EARL, whose key opens what was published of
 * the device, authenticates offers to it, and gives the PIN that follows from one.
 */

/** Octets of the keys that we make: 128 bits are 28 characters, which a small QR code holds (S56). */
const earlKeyBytes = 16;
const descriptionTags = defineTags('description of a device', { DeviceDescription });
const locatorForm = /^udf:\/\/([^/]+)\/([A-Za-z2-7-]+)$/i;

/** A device's code, taken apart. */
export interface Earl {
  /** Canonical. */
  readonly domain: string;
  /** The key as a UDF (`E…`), canonical. */
  readonly key: string;
  /** By which the description is found at the domain. */
  readonly identifier: string;
  /** What offers and PINs are made with, see `earlSecret`. */
  readonly secret: Uint8Array;
}

/** A fresh code for a device that hails at an account of this domain. */
export function makeEarl(domain: string, random: Random): Earl {
  return earlOf(domain, encryptionKeyUdf(random(earlKeyBytes)));
}

function earlOf(domain: string, key: string): Earl {
  const { canonical } = parseUdf(key);
  return { domain, key: canonical, identifier: earlIdentifier(canonical), secret: earlSecret(canonical) };
}

/** As text: `udf://<domain>/<E…>`. */
export function earlText({ domain, key }: Pick<Earl, 'domain' | 'key'>): string {
  return `udf://${domain}/${key}`;
}

/** Reads a code. @throws ClientError `connect` for what is none, or holds a key of less than 128 bits */
export function parseEarl(text: string): Earl {
  const [, domain = '', key = ''] = locatorForm.exec(text.trim()) ?? [];
  try {
    if (parseUdf(key).typeId === udfType.encryptionKey) return earlOf(canonicalDomain(domain), key);
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('connect', notACode, { cause });
  }
  throw new ClientError('connect', notACode);
}

const notACode = 'this is not the code of a device: it reads udf://DOMAIN/E…';

/** What a device's maker says of it. */
export interface DescribedDevice {
  readonly profileDevice: EnvelopeOctets;
  /** Canonical address of the account where it hails. */
  readonly hailing: string;
}

/** What was published of a device, opened and verified. */
export interface VerifiedDescription extends DescribedDevice {
  readonly deviceUdf: string;
  readonly offlineKey: PublicKeyEd448;
  /** As the device says of itself. */
  readonly description: string;
}

/** The description as it is published: encrypted and authenticated by the key alone (S56, S60). */
export function sealDescription(device: DescribedDevice, { key }: Pick<Earl, 'key'>, random: Random): Uint8Array {
  const { profileDevice, hailing } = device;
  const domain = hailing.slice(hailing.lastIndexOf('@') + 1);
  const body = { EnvelopedProfileDevice: profileDevice, HailingServiceID: hailing, HailingDomain: domain };
  const plain = encodeTagged(DeviceDescription, body, 'json');
  const { data: masterKey } = parseUdf(key);
  return writeEnvelope(encryptWithMasterKey({ plain, random, pad: true, masterKey, contentType: itemContentType }));
}

/**
 * Opens what was found under the code: that it was made with its key, and the profile by its own.
 *
 * @throws ClientError `connect` for anything else, whoever put it there
 */
export async function openDescription(octets: Uint8Array, { key }: Pick<Earl, 'key'>): Promise<VerifiedDescription> {
  try {
    const { plain } = decryptWithMasterKey(openEnvelope(readEnvelope(octets)), parseUdf(key).data, 'none');
    const { value } = decodeTagged(descriptionTags, plain, { form: 'json', refuseRepeated: true });
    const { EnvelopedProfileDevice: profileDevice, HailingServiceID: hailing } = value;
    if (profileDevice === undefined || hailing === undefined) throw new Error('a member is missing');
    const { profile, offlineKey } = await verifyProfile(profileDevice, 'ProfileDevice');
    return {
      ...{ profileDevice, hailing: canonicalAddress(hailing) },
      ...{ deviceUdf: offlineKey.udf, offlineKey, description: profile.Description ?? '' },
    };
  } catch (cause) {
    const why =
      'what lies under this code was not made with it: the code was misread, or somebody has changed the description';
    throw new ClientError('connect', why, { cause });
  }
}
