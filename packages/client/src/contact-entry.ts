import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { KeyValue } from '@meshd/dare/header';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import { CatalogedContact, Contact, catalogRegistry } from '@meshd/schema/catalog';
import { publicKeyOf, verifyProfile } from '@meshd/schema/profile-check';
import type { ProfileAccount } from '@meshd/schema/profiles';
import { ClientError } from './errors.js';

/*
 * Whom the account lets write to it (semantics 8.3, S72): entries of `mmm_Contact`. The entry itself is encrypted like every
 * other; beside it, in the metadata, stands what the service may know to decide for the user: which account may send what.
 */

/** A person whose messages are taken, or not. */
export interface Correspondent {
  /** Key of the entry: a nonce (schema 6). */
  readonly key: string;
  /** Canonical. */
  readonly address: string;
  /** Message types; `*` all, none at all: blocked. */
  readonly permissions: readonly string[];
  /** The account that the address stands for; undefined as long as none has been seen. */
  readonly account: ProfileAccount | undefined;
}

/** What of an account's profile correspondence needs. */
export interface AccountKeys {
  readonly udf: string;
  /** Raw offline key: identifies the person from now on (S72). */
  readonly key: Uint8Array;
  /** Raw key to encrypt to. */
  readonly encryptionKey: Uint8Array;
}

const contactTags = defineTags('contact', { Contact });

/** The scheme under which addresses of the Mesh stand among others. */
const addressScheme = 'mmm:';

/**
 * The keys of a profile that is believed already.
 *
 * @throws CryptoError for keys that must not be used, ClientError `entry` for a profile that nothing can be encrypted to.
 */
export function accountKeys(profile: ProfileAccount): AccountKeys {
  const { udf, raw } = publicKeyOf(profile.KeyOfflineSignature ?? {});
  if (profile.KeyEncryption === undefined) throw new ClientError('entry', 'the profile has no key to encrypt to');
  return { udf, key: raw, encryptionKey: publicKeyOf(profile.KeyEncryption).raw };
}

/**
 * Judges a ProfileAccount by its own signature, and that it says to be the account of an address. Whether that is the person
 * the user means is for the user to say.
 *
 * @throws ClientError `profile`
 */
export async function accountOfCard(octets: EnvelopeOctets, address: string): Promise<ProfileAccount> {
  try {
    const { profile } = await verifyProfile(octets, 'ProfileAccount');
    accountKeys(profile);
    if (!profile.ServiceIDs?.includes(address)) throw new Error(`it is not the profile of ${address}`);
    return profile;
  } catch (cause) {
    throw new ClientError('profile', `the profile of ${address} is refused: ${(cause as Error).message}`, { cause });
  }
}

/** The body of an entry, as the tagged object in JSON. */
export function contactBody({ key, address, permissions, account }: Correspondent): Uint8Array {
  const contact: Contact = {
    Addresses: [{ URI: `${addressScheme}${address}` }],
    ...(account === undefined ? {} : { AssertionAccounts: [account] }),
  };
  const entry: CatalogedContact = {
    Key: key,
    Permissions: permissions.map((name) => ({ Name: name })),
    // Unsigned: the whole entry is the account's own word, under the manifest of its batch.
    EnvelopedContact: makeEnvelope({ header: {}, payload: encodeTagged(Contact, contact, 'json') }),
  };
  return encodeTagged(CatalogedContact, entry, 'json');
}

/** Reads a body; undefined for an entry of another kind, or of nobody in the Mesh. */
export function readContact(plain: Uint8Array): Correspondent | undefined {
  try {
    const { tag, value } = decodeTagged(catalogRegistry, plain, { form: 'json' });
    if (tag !== 'CatalogedContact' || value.Key === undefined || value.EnvelopedContact === undefined) return undefined;
    const { payload } = openEnvelope(value.EnvelopedContact);
    const contact = decodeTagged(contactTags, payload ?? new Uint8Array(0), { form: 'json' }).value;
    const uri = contact.Addresses?.map(({ URI = '' }) => URI).find((text) => text.startsWith(addressScheme));
    if (uri === undefined) return undefined;
    const permissions = (value.Permissions ?? []).flatMap(({ Name: name }) => name ?? []);
    return {
      ...{ key: value.Key, address: uri.slice(addressScheme.length), permissions },
      account: contact.AssertionAccounts?.[0],
    };
  } catch {
    return undefined;
  }
}

/**
 * What the service is told: the address, and once it is known the account's UDF, so that another account under the same address
 * is refused (S72). Before that the address alone counts, which is as good as the word of the service it belongs to.
 */
export function permissionValues({ address, permissions, account }: Correspondent): KeyValue[] {
  return [
    { Key: 'Address', Value: address },
    ...(account === undefined ? [] : [{ Key: 'AccountUDF', Value: accountKeys(account).udf }]),
    { Key: 'Permissions', Value: permissions.length === 0 ? '-' : permissions.join(',') },
  ];
}
