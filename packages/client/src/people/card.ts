import type { SigningKey } from '@meshd/crypto/ed448';
import { canonicalName, udfEquals } from '@meshd/crypto/udf';
import { type DareEnvelope, type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import { Contact } from '@meshd/schema/catalog';
import { itemContentType } from '@meshd/schema/container-name';
import { onlineKeysOf, publicKeyOf, verifyConnectionAccount, verifyProfile } from '@meshd/schema/profile-check';
import { ProfileAccount } from '@meshd/schema/profiles';
import { accountKeys, addressesOf, contactAddress } from '../contact-entry.js';
import { ClientError } from '../errors.js';

/*
 * A contact card: the Contact that goes into requests for contact and into files, signed by a device of the account. The two
 * statements beside the signature are those of a message (S71), so that whoever has the card alone can judge it. What nobody
 * can judge from it is whether the account is the person's whom he means (S72).
 */

/** What a card says, once it holds. */
export interface ContactCard {
  /** Canonical. */
  readonly address: string;
  /** As the person calls himself; empty where he does not. */
  readonly name: string;
  readonly account: ProfileAccount;
  /** UDF of the account. */
  readonly accountUdf: string;
}

/** Who makes a card, and how he proves it. */
export interface CardMaker {
  /** Canonical address. */
  readonly address: string;
  readonly name: string;
  /** Signature key of the device's connection. */
  readonly signer: SigningKey;
  readonly connectionAccount: EnvelopeOctets;
  readonly profileAccount: EnvelopeOctets;
}

const profileTags = defineTags('profile', { ProfileAccount });
const cardTags = defineTags('card', { Contact, ProfileAccount });
const form = { form: 'json', refuseRepeated: true } as const;
const nothing = new Uint8Array(0);

/** Makes the card of an account. */
export function makeCard({ address, name, signer, connectionAccount, profileAccount }: CardMaker): EnvelopeOctets {
  const profile = decodeTagged(profileTags, profileAccount.payload ?? nothing, form).value;
  const contact: Contact = {
    ...(name === '' ? {} : { FullName: name }),
    AssertionAccounts: [profile],
    Addresses: [contactAddress(address)],
  };
  return signEnvelope({
    payload: encodeTagged(Contact, contact, 'json'),
    contentMeta: { cty: itemContentType },
    keys: [signer],
    entryMembers: [{ Connection: connectionAccount, Account: profileAccount }],
  });
}

/**
 * Judges a card: its signature is that of a device of the account that it shows, and the account has the address. A bare
 * ProfileAccount, as earlier versions wrote cards, is taken too.
 *
 * @param address the one that is meant; where absent the first that contact and account agree on
 * @throws ClientError `profile`
 */
export async function readCard(octets: EnvelopeOctets, address?: string): Promise<ContactCard> {
  try {
    const envelope = openEnvelope(octets);
    const { tag, value } = decodeTagged(cardTags, envelope.payload ?? nothing, form);
    if (tag === 'ProfileAccount') return cardOf((await verifyProfile(octets, tag)).profile, '', address);
    return await readContactCard(envelope, value, address);
  } catch (cause) {
    const whose = address === undefined ? 'the card' : `the card of ${address}`;
    throw new ClientError('profile', `${whose} is refused: ${(cause as Error).message}`, { cause });
  }
}

async function readContactCard(envelope: DareEnvelope, contact: Contact, address?: string): Promise<ContactCard> {
  const [entry] = envelope.signatures;
  if (entry?.Account === undefined || entry.Connection === undefined) {
    throw new Error('it brings no Account and Connection of its maker');
  }
  const { profile, offlineKey } = await verifyProfile(entry.Account, 'ProfileAccount');
  const own = addressesOf(contact).filter((each) => profile.ServiceIDs?.includes(each));
  const card = cardOf(profile, contact.FullName ?? '', address ?? own[0]);
  if (!own.includes(card.address)) throw new Error('the contact has another address than its account');
  const { keySignature } = await verifyConnectionAccount(entry.Connection, {
    ...{ udf: offlineKey.udf, address: card.address, onlineKeys: onlineKeysOf(profile) },
  });
  await verifyEnvelope(envelope, (kid) => (canonicalName(kid) === keySignature.udf ? keySignature : undefined));
  const [shown] = contact.AssertionAccounts ?? [];
  if (shown !== undefined && !publicKeyOf(shown.KeyOfflineSignature ?? {}).equals(offlineKey)) {
    throw new Error('the contact is about another account than the one that has signed it');
  }
  return card;
}

function cardOf(account: ProfileAccount, name: string, address = account.ServiceIDs?.[0]): ContactCard {
  if (address === undefined || !account.ServiceIDs?.includes(address)) {
    throw new Error(`it is not the profile of ${address ?? 'any address'}`);
  }
  return { address, name, account, accountUdf: accountKeys(account).udf };
}

/**
 * Makes sure that a card is that of an account whose fingerprint somebody has given.
 * @throws ClientError `profile`
 */
export function requireFingerprint(card: ContactCard, fingerprint: string): void {
  if (isUdf(fingerprint, card.accountUdf)) return;
  throw new ClientError(
    'profile',
    `the card is that of account ${card.accountUdf}, not of ${fingerprint}; ask ${card.address} for a new one`,
  );
}

function isUdf(text: string, udf: string): boolean {
  try {
    return udfEquals(text, udf);
  } catch {
    return false;
  }
}
