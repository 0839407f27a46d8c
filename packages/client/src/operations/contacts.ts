import { isDeepStrictEqual } from 'node:util';
import { nonceUdf, udfEquals } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { contactCatalog } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import { type OpenedItem, openedItems } from '../catalog/opened-items.js';
import { isTypedCode } from '../connect/transcript.js';
import { accountKeys, type Correspondent, contactBody, permissionValues, readContact } from '../contact-entry.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { requireReading } from '../own-permissions.js';
import { enqueue, type PendingEntry } from '../pending.js';
import { type ContactCard, readCard, requireFingerprint } from '../people/card.js';
import { comparisonCode } from '../people/comparison.js';
import { newerProfile } from '../people/exchange.js';
import { encryptBody } from '../writer.js';
import { flushPending } from './flush.js';
import { recordingEvidence } from './record-evidence.js';
import { syncAccount } from './sync.js';

/** A contact, and where its entry stands. */
export interface FiledContact extends Correspondent {
  readonly frameIndex: number;
}

/** Entries of the contacts' catalog, as the replica has them. */
export async function contactEntries(device: Device): Promise<OpenedItem[]> {
  return openedItems(device, await device.replica(contactCatalog));
}

/** Everybody in the replica of the contacts' catalog, by address. */
export async function contactsOf(device: Device): Promise<ReadonlyMap<string, FiledContact>> {
  const found = (await contactEntries(device)).flatMap(({ body, frameIndex }) => {
    const contact = readContact(body);
    return contact === undefined ? [] : [{ ...contact, frameIndex }];
  });
  return new Map(found.sort((a, b) => a.frameIndex - b.frameIndex).map((contact) => [contact.address, contact]));
}

/** Everybody, up to date, by name and address. @throws ClientError */
export async function listContacts(device: Device): Promise<FiledContact[]> {
  requireReading(device, contactCatalog);
  await syncAccount(device, [contactCatalog]);
  const shownAs = ({ name, address }: Correspondent) => `${name}\n${address}`.toLowerCase();
  return [...(await contactsOf(device)).values()].sort((a, b) => (shownAs(a) < shownAs(b) ? -1 : 1));
}

/** Contacts in which every word of a text occurs, in name, address or account. */
export function searchContacts(contacts: readonly FiledContact[], text: string): FiledContact[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return contacts.filter((contact) => {
    const shown = `${contact.name}\n${contact.address}\n${udfOf(contact) ?? ''}`.toLowerCase();
    return words.every((word) => shown.includes(word));
  });
}

/** UDF of the account behind the address; undefined where none is known yet. */
export const udfOf = ({ account }: Correspondent): string | undefined => account && accountKeys(account).udf;

/** One contact by its address, or by the beginning of address or name. @throws ClientError `usage` */
export function contactNamed(contacts: readonly FiledContact[], text: string): FiledContact {
  const wanted = text.toLowerCase();
  const exact = contacts.filter(({ address }) => address === wanted);
  const begins = ({ address, name }: Correspondent) =>
    address.startsWith(wanted) || name.toLowerCase().startsWith(wanted);
  const found = exact.length > 0 ? exact : contacts.filter(begins);
  if (found.length === 1) return found[0] as FiledContact;
  const why = found.length === 0 ? `there is no contact ${text}` : `${text} means ${found.length} contacts`;
  throw new ClientError('usage', `${why}; see mesh contact list`);
}

/** What to change of a contact; what is absent stays. */
export interface ContactChange {
  /** Canonical. */
  readonly address: string;
  readonly name?: string | undefined;
  /** Message types; `*` all, none blocks. Where absent and nobody is known under the address: all. */
  readonly permissions?: readonly string[] | undefined;
  readonly card?: ContactCard | undefined;
  readonly expectedUdf?: string | undefined;
  /** The key was shown in person, or compared. */
  readonly isVerified?: boolean | undefined;
  /** Address at which this very account was known before it moved. */
  readonly movedFrom?: string | undefined;
}

/**
 * Writes or replaces a person's entry. An account that is known is never replaced by another without a word (S72), a profile
 * never by an older one; what was verified stays so.
 *
 * @throws ClientError `usage` for oneself, `profile` for a card of another account than the one known before, `conflict`
 */
export async function saveContact(device: Device, change: ContactChange): Promise<FiledContact> {
  const { session } = device;
  if (change.address === session.state.address) throw new ClientError('usage', 'that is this very account');
  await requireNoEvidence(session.home);
  await syncAccount(device, [contactCatalog]);
  const contacts = await contactsOf(device);
  const known = contacts.get(change.address) ?? contacts.get(change.movedFrom ?? '');
  const person = changedContact(known, change, () => nonceUdf(session.environment.random));
  const entry = {
    ...{ name: change.address, uniqueId: person.key, base: known?.frameIndex },
    ...{ body: encryptBody(session, contactBody(person)), keyValues: permissionValues(person) },
  };
  return { ...person, frameIndex: await placeContact(device, change.address, [entry]) };
}

/** Whoever was asked for his contact may answer, and nothing else until he has. */
export const askedPermissions: readonly string[] = ['ReplyContact'];

const isAskedOnly = ({ permissions, account }: Correspondent) =>
  account === undefined && isDeepStrictEqual(permissions, askedPermissions);

/**
 * A contact after a change; pure. An account that is known, or whose fingerprint was shown in person, gives way to no other
 * one (S72).
 * @throws ClientError `profile`
 */
export function changedContact(
  known: Correspondent | undefined,
  change: ContactChange,
  freshKey: () => string,
): Correspondent {
  const { address, card, name, expectedUdf = known?.expectedUdf } = change;
  requireSameAccount(known, change);
  const account = card === undefined ? known?.account : newerProfile(known?.account, card.account);
  const isIntroduced = known !== undefined && isAskedOnly(known) && card !== undefined;
  const before = isIntroduced ? undefined : known?.permissions;
  return {
    ...{ key: known?.key ?? freshKey(), address, name: name ?? (known?.name || (card?.name ?? '')) },
    permissions: change.permissions ?? before ?? ['*'],
    account,
    // What was shown in person has done its work once the account itself is known: it was that one.
    expectedUdf: account === undefined ? expectedUdf : undefined,
    isVerified:
      change.isVerified ?? ((account !== undefined && expectedUdf !== undefined) || known?.isVerified === true),
  };
}

function requireSameAccount(known: Correspondent | undefined, { address, card, expectedUdf }: ContactChange): void {
  const shown = [card?.accountUdf, expectedUdf].filter((udf) => udf !== undefined);
  const wanted = (known && udfOf(known)) ?? expectedUdf ?? known?.expectedUdf;
  if (wanted === undefined || shown.every((udf) => udfEquals(udf, wanted))) return;
  throw new ClientError(
    'profile',
    `${address} was another account before; ask the person, and delete the contact first if it is right`,
  );
}

/**
 * Lets somebody answer what is about to be asked: the service sees no more of an encrypted answer than its type, so the
 * contact must permit that (semantics 8.3).
 *
 * @throws ClientError `usage` for somebody who is blocked; as {@link saveContact}
 */
export async function letAnswer(
  device: Device,
  address: string,
  type: string,
  expectedUdf?: string,
): Promise<FiledContact> {
  await syncAccount(device, [contactCatalog]);
  const known = (await contactsOf(device)).get(address);
  if (known?.permissions.length === 0) {
    throw new ClientError('usage', `${address} is blocked, and so is the answer; first: mesh contact allow ${address}`);
  }
  const may = known?.permissions.some((name) => name === '*' || name === type) === true;
  if (known !== undefined && may && expectedUdf === undefined) return known;
  const permissions = may ? undefined : [...(known?.permissions ?? []), type];
  return saveContact(device, { address, permissions, expectedUdf });
}

type Draft = Omit<PendingEntry, 'modifiedMs'>;

/** Writes entries of one person. @returns where the last of them stands */
export async function placeContact(device: Device, name: string, drafts: readonly Draft[]): Promise<number> {
  const { home, environment } = device.session;
  const entries = drafts.map((draft) => ({ ...draft, modifiedMs: environment.nowMs() }));
  const batch = await enqueue(home, contactCatalog, entries);
  const flushed = await recordingEvidence(device, () => flushPending(device));
  const failure = flushed.failures.find(({ container }) => container === contactCatalog);
  if (failure !== undefined) throw failure.error;
  const placed = flushed.placed.findLast((each) => each.batch === batch);
  if (placed === undefined) throw new ClientError('conflict', `another device has changed ${name}; try again`);
  return placed.frameIndex;
}

/** Deletes a contact: its messages are those of a stranger from then on. @throws ClientError `usage`, `conflict` */
export async function deleteContact(device: Device, text: string): Promise<FiledContact> {
  const contact = contactNamed(await listContacts(device), text);
  await requireNoEvidence(device.session.home);
  // Two devices may have filed the same person at the same time, each under a key of its own.
  const same = (await contactEntries(device)).filter(({ body }) => readContact(body)?.address === contact.address);
  const drafts = same.map(({ uniqueId, frameIndex }) => {
    return { name: contact.address, uniqueId, body: undefined, base: frameIndex };
  });
  await placeContact(device, contact.address, drafts);
  return contact;
}

/** Whom to allow what. */
export interface Allowance {
  /** Canonical. */
  readonly address: string;
  /** Message types; `*` all, none blocks. Where absent they stay, and are all for somebody new. */
  readonly permissions?: readonly string[] | undefined;
  readonly name?: string | undefined;
  /** The person's card, where it is known. */
  readonly card?: EnvelopeOctets | undefined;
}

/** What the catalog says now. */
export interface Allowed {
  readonly address: string;
  readonly permissions: readonly string[];
  /** UDF of the account behind the address; undefined where none is known yet. */
  readonly accountUdf: string | undefined;
  readonly frameIndex: number;
}

/**
 * Says whose messages are taken (semantics 8.3), with what is known of the person.
 * @throws ClientError `profile` for a card that does not hold, or of another account than the one known before
 */
export async function allowContact(device: Device, { address, permissions, name, card }: Allowance): Promise<Allowed> {
  const shown = card && (await readCard(card, address));
  const filed = await saveContact(device, { address, permissions, name, card: shown });
  return { address, permissions: filed.permissions, accountUdf: udfOf(filed), frameIndex: filed.frameIndex };
}

/**
 * Files the person of a card.
 * @param fingerprint UDF of the account, as the person told it: then nobody stands between (S72)
 * @throws ClientError `profile`
 */
export async function importCard(
  device: Device,
  octets: EnvelopeOctets,
  {
    fingerprint,
    permissions,
  }: { readonly fingerprint?: string | undefined; readonly permissions?: readonly string[] | undefined },
): Promise<FiledContact> {
  const card = await readCard(octets);
  if (fingerprint !== undefined) requireFingerprint(card, fingerprint);
  const isVerified = fingerprint === undefined ? undefined : true;
  return saveContact(device, { address: card.address, permissions, card, isVerified });
}

/** The code to compare with a person (S72). @throws ClientError `entry` where no key of that person is known */
export async function codeWith(device: Device, contact: Correspondent): Promise<string> {
  if (contact.account === undefined) {
    throw new ClientError('entry', `no key of ${contact.address} is known yet; mesh contact request asks for it`);
  }
  return codeWithKey(device, accountKeys(contact.account).key);
}

/** The same for the raw key of an account. */
export async function codeWithKey({ session }: Device, key: Uint8Array): Promise<string> {
  const { offlineKey } = await verifyProfile(session.identity.profileAccount, 'ProfileAccount');
  return comparisonCode(offlineKey.raw, key);
}

/**
 * Marks a contact as verified, if the code that the person has is the one here (S72).
 * @throws ClientError `profile` for another code: somebody stands between, or it was read wrongly
 */
export async function verifyContact(device: Device, text: string, code: string): Promise<FiledContact> {
  const contact = contactNamed(await listContacts(device), text);
  if (!isTypedCode(code, await codeWith(device, contact))) {
    const next = `read it again; if it stays so, somebody has put another key in between: delete the contact`;
    throw new ClientError('profile', `that is not the code of ${contact.address}; ${next}`);
  }
  return saveContact(device, { address: contact.address, isVerified: true });
}
