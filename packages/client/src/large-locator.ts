import type { RequestSigner } from '@meshd/binding/request-sign';
import { signingKeyFromSeed } from '@meshd/crypto/ed448';
import { CryptoError } from '@meshd/crypto/errors';
import { earlIdentifier, encryptionKeyUdf, parseUdf, udfType } from '@meshd/crypto/udf';
import { FileSecrets } from '@meshd/dare/sealed-file';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { canonicalDomain } from '@meshd/schema/address';
import { ProfileDevice } from '@meshd/schema/profiles';
import { ClientError } from './errors.js';
import { publicMember } from './identity.js';

/*
 * Locators of large files (encoding 1.9): an EARL holds the key, and the key gives all else: the identifier under which the
 * service keeps the file, what opens it, and the key that signs requests for it.
 */

/** Octets of the keys that we issue. */
const keyBytes = 32;

/** A locator, taken apart. */
export interface LargeLocator {
  /** Canonical. */
  readonly domain: string;
  /** The key as a UDF (`E…`), canonical. */
  readonly key: string;
  /** By which the service finds the file. */
  readonly identifier: string;
  readonly secrets: FileSecrets;
}

/** A fresh key for a file. */
export function makeLargeKey(random: (bytes: number) => Uint8Array): string {
  return encryptionKeyUdf(random(keyBytes));
}

/** A locator by its parts. */
export function largeLocator(domain: string, key: string): LargeLocator {
  const { canonical, data } = parseUdf(key);
  return { domain, key: canonical, identifier: earlIdentifier(canonical), secrets: new FileSecrets(data) };
}

/** As text: `udf://<domain>/<E…>`. */
export function locatorText({ domain, key }: Pick<LargeLocator, 'domain' | 'key'>): string {
  return `udf://${domain}/${key}`;
}

/**
 * Reads a locator.
 * @throws ClientError `entry` for what is none, or holds a key that is too short to keep anything
 */
export function parseLocator(text: string): LargeLocator {
  const [, domain = '', key = ''] = /^udf:\/\/([^/]+)\/([A-Za-z2-7-]+)$/.exec(text) ?? [];
  try {
    const { typeId, data } = parseUdf(key);
    if (typeId === udfType.encryptionKey && data.length >= keyBytes) return largeLocator(canonicalDomain(domain), key);
  } catch (error) {
    if (!(error instanceof CryptoError) && (error as Error).name !== 'AddressError') throw error;
  }
  throw new ClientError('entry', 'the message holds no locator of a large file');
}

/**
 * Signs requests for the file. The key is nobody's but the locator's, so that the service that keeps the file learns of who
 * fetches it no more than that he was told of it.
 */
export function readerOf({ secrets }: LargeLocator): RequestSigner {
  const key = signingKeyFromSeed(secrets.readerSeed);
  const profileKey = signingKeyFromSeed(secrets.profileSeed);
  const profile: ProfileDevice = {
    // The same whenever it is made: it tells nothing, not even the time.
    Updated: new Date(0),
    KeyOfflineSignature: publicMember(profileKey),
    KeyAuthentication: publicMember(key),
  };
  const payload = encodeTagged(ProfileDevice, profile, 'json');
  return { key, profile: signEnvelope({ payload, contentMeta: { cty: 'application/mmm' }, keys: [profileKey] }) };
}
