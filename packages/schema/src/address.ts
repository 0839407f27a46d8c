import { sha256 } from '@meshd/crypto/digest';
import { Lru } from '@meshd/crypto/lru';
import { accountNameBytesMax, addressSlotsMax, domainBytesMax, lanesPerDestination } from '@meshd/limits/limits';
import { MeshError } from './status.js';

/** An account address in canonical form, and its two parts. */
export interface ParsedAddress {
  /** `local@domain`. */
  readonly address: string;
  readonly local: string;
  readonly domain: string;
}

/** An address that is none. Answered as `malformed`, in CreateAccount as `account-name`. */
export class AddressError extends MeshError {
  override readonly name = 'AddressError';
  /** The characters that must not stand where they stand, each once; empty if the fault is another. */
  readonly offending: string;

  constructor(detail: string, offending = '') {
    super('malformed', detail);
    this.offending = offending;
  }
}

/** Letters and digits, with single `.`, `_`, `-`, `+` between them. */
const localForm = /^[a-z0-9]+(?:[._+-][a-z0-9]+)*$/;
const labelForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const localCharacter = /[a-z0-9._+-]/;
const domainCharacter = /[a-z0-9.-]/;

/** Local part, `@`, domain with trailing dot. */
const addressCharactersMax = accountNameBytesMax + domainBytesMax + 2;

/** Accounts are spread over so many slots by the first 12 bits of a digest (design 5). */
export const slotCount = 4096;

/**
 * All printable ASCII characters that a local part may not hold, for `PolicyAccount.InvalidCharacters` (R226). Capital
 * letters are not among them: they are folded.
 */
export const invalidLocalCharacters = Array.from({ length: 0x7f - 0x20 }, (_, index) =>
  String.fromCharCode(0x20 + index),
)
  .filter((character) => !localCharacter.test(character.toLowerCase()))
  .join('');

/**
 * Brings an address into the one form in which addresses are compared, looked up and signed (semantics 4).
 *
 * @throws AddressError for everything else.
 */
export function parseAddress(text: string): ParsedAddress {
  // before anything looks at single characters: the text may be as long as a request
  if (text.length > addressCharactersMax) throw new AddressError('too long for an account address');
  const at = text.indexOf('@');
  if (at < 0) throw new AddressError('an account address is local@domain');
  const local = canonicalLocal(text.slice(0, at));
  const domain = canonicalDomain(text.slice(at + 1));
  return { address: `${local}@${domain}`, local, domain };
}

/** `parseAddress(text).address`. Throws AddressError. */
export function canonicalAddress(text: string): string {
  return parseAddress(text).address;
}

/** A domain in A-labels, lower case, without trailing dot. Throws AddressError. */
export function canonicalDomain(text: string): string {
  if (text.length > addressCharactersMax) throw new AddressError('too long for a domain name');
  const domain = foldAscii(text).replace(/\.$/, '');
  refuseCharacters(domain, domainCharacter, 'domain');
  const labels = domain.split('.');
  const wellFormed = labels.every((label) => labelForm.test(label)) && domain.length <= domainBytesMax;
  // an all-digit last label is an IPv4 address, never a name
  if (!wellFormed || /^\d+$/.test(labels.at(-1) ?? '')) throw new AddressError('not a domain name');
  return domain;
}

/** Slots told lately, by the address as it was asked for: every request asks at router and shard. */
const slots = new Lru<number>(addressSlotsMax);

/** The slot of an account, 0 to 4095. Throws AddressError. */
export function slotOfAddress(address: string): number {
  const known = slots.get(address);
  if (known !== undefined) return known;
  const slot = slotOfText(canonicalAddress(address));
  slots.set(address, slot);
  return slot;
}

/** The slot of any other identifier, taken as it stands. */
export function slotOfText(text: string): number {
  const digest = sha256(new TextEncoder().encode(text));
  return ((digest[0] as number) << 4) | ((digest[1] as number) >> 4);
}

/**
 * The lane that messages to a recipient take to their destination, 0 to `lanesPerDestination` - 1: one recipient's stay in
 * order, a busy destination is served by several workers (design 6).
 *
 * @throws AddressError
 */
export function laneOfRecipient(address: string): number {
  const digest = sha256(new TextEncoder().encode(canonicalAddress(address)));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) % lanesPerDestination;
}

function canonicalLocal(text: string): string {
  const local = foldAscii(text);
  refuseCharacters(local, localCharacter, 'account name');
  if (local.length === 0 || local.length > accountNameBytesMax) {
    throw new AddressError(`an account name has 1 to ${accountNameBytesMax} characters`);
  }
  if (localForm.test(local)) return local;
  const misplaced = local.match(/^[._+-]+|[._+-]{2,}|[._+-]+$/)?.[0] ?? '';
  throw new AddressError('account name: . _ - + stand single, between letters and digits', misplaced);
}

/** Only ASCII letters are folded: others are refused, and some would fold into ASCII. */
function foldAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function refuseCharacters(text: string, allowed: RegExp, what: string): void {
  const offending = [...new Set(text)].filter((character) => !allowed.test(character)).join('');
  if (offending === '') return;
  const shown = JSON.stringify(offending.slice(0, 32).toWellFormed());
  throw new AddressError(`${what} may not hold ${shown}`, offending.slice(0, 32).toWellFormed());
}

/** The slot of an account by its address, or of a publication by its identifier, which holds no `@`. Throws AddressError. */
export function slotOfName(name: string): number {
  return name.includes('@') ? slotOfAddress(name) : slotOfText(name);
}
