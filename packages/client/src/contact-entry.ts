import { type EnvelopeOctets, makeEnvelope, openEnvelope } from '@meshd/dare/envelope';
import type { KeyValue } from '@meshd/dare/header';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import { type Address, CatalogedContact, Contact, catalogRegistry } from '@meshd/schema/catalog';
import { publicKeyOf } from '@meshd/schema/profile-check';
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
  /** As the person calls himself, or as the user does; empty where nobody has said. */
  readonly name: string;
  /** The account that the address stands for; undefined as long as none has been seen. */
  readonly account: ProfileAccount | undefined;
  /** UDF of the account that was shown in person, where no profile of it has been seen yet. */
  readonly expectedUdf?: string | undefined;
  /** Nobody stands between: both have compared codes, or the key was shown in person (S72). */
  readonly isVerified: boolean;
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
export const addressScheme = 'mmm:';
/** Label of a contact whose key is the person's own (S72). */
const verifiedLabel = 'verified';

/** An address of the Mesh as contacts have it. */
export const contactAddress = (address: string): Address => ({ URI: `${addressScheme}${address}` });

/** The addresses of the Mesh in a contact. */
export function addressesOf({ Addresses: addresses = [] }: Contact): string[] {
  const uris = addresses.map(({ URI = '' }) => URI).filter((uri) => uri.startsWith(addressScheme));
  return uris.map((uri) => uri.slice(addressScheme.length));
}

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

/** The body of an entry, as the tagged object in JSON. */
export function contactBody(person: Correspondent): Uint8Array {
  const { key, address, permissions, account, name, expectedUdf, isVerified } = person;
  const contact: Contact = {
    ...(expectedUdf === undefined ? {} : { Identifier: expectedUdf }),
    ...(name === '' ? {} : { FullName: name }),
    ...(isVerified ? { Labels: [verifiedLabel] } : {}),
    ...(account === undefined ? {} : { AssertionAccounts: [account] }),
    Addresses: [contactAddress(address)],
  };
  const entry: CatalogedContact = {
    Key: key,
    Permissions: permissions.map((each) => ({ Name: each })),
    // Unsigned: the whole entry is the account's own word, under the manifest of its batch.
    EnvelopedContact: makeEnvelope({ header: {}, payload: encodeTagged(Contact, contact, 'json') }),
  };
  return encodeTagged(CatalogedContact, entry, 'json');
}

/** The owner's own contact (schema 6), signed by an administrator of the Mesh. */
export function ownContactBody(key: string, signed: EnvelopeOctets): Uint8Array {
  return encodeTagged(CatalogedContact, { Self: true, Key: key, EnvelopedContact: signed }, 'json');
}

function entryOf(plain: Uint8Array): CatalogedContact | undefined {
  try {
    const { tag, value } = decodeTagged(catalogRegistry, plain, { form: 'json' });
    return tag === 'CatalogedContact' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the owner's own contact; whether an administrator has signed it is to be verified. */
export function readOwnContact(plain: Uint8Array): { key: string; signed: EnvelopeOctets } | undefined {
  const { Self: isOwn, Key: key, EnvelopedContact: signed } = entryOf(plain) ?? {};
  return isOwn === true && key !== undefined && signed !== undefined ? { key, signed } : undefined;
}

/** Reads a body; undefined for an entry of another kind, of the owner, or of nobody in the Mesh. */
export function readContact(plain: Uint8Array): Correspondent | undefined {
  const entry = entryOf(plain);
  if (entry?.Key === undefined || entry.EnvelopedContact === undefined || entry.Self === true) return undefined;
  try {
    const { payload } = openEnvelope(entry.EnvelopedContact);
    const contact = decodeTagged(contactTags, payload ?? new Uint8Array(0), { form: 'json' }).value;
    const [address] = addressesOf(contact);
    if (address === undefined) return undefined;
    return {
      ...{ key: entry.Key, address, permissions: (entry.Permissions ?? []).flatMap(({ Name: name }) => name ?? []) },
      ...{ name: contact.FullName ?? '', expectedUdf: contact.Identifier, account: contact.AssertionAccounts?.[0] },
      isVerified: contact.Labels?.includes(verifiedLabel) === true,
    };
  } catch {
    return undefined;
  }
}

/**
 * What the service is told: the address, and once it is known the account's UDF, so that another account under the same address
 * is refused (S72). Before that the address alone counts, which is as good as the word of the service it belongs to.
 */
export function permissionValues({ address, permissions, account, expectedUdf }: Correspondent): KeyValue[] {
  const accountUdf = account === undefined ? expectedUdf : accountKeys(account).udf;
  return [
    { Key: 'Address', Value: address },
    ...(accountUdf === undefined ? [] : [{ Key: 'AccountUDF', Value: accountUdf }]),
    { Key: 'Permissions', Value: permissions.length === 0 ? '-' : permissions.join(',') },
  ];
}
