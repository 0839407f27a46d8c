import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { openEnvelope } from '@meshd/dare/envelope';
import { contactCatalog } from '@meshd/schema/container-name';
import type { ProfileAccount } from '@meshd/schema/profiles';
import {
  accountKeys,
  accountOfCard,
  type Correspondent,
  contactBody,
  permissionValues,
  readContact,
} from '../contact-entry.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { enqueue } from '../pending.js';
import { plainOf, readingKey } from '../reading-key.js';
import { encryptBody } from '../writer.js';
import { flushPending } from './flush.js';
import { recordingEvidence } from './record-evidence.js';
import { syncAccount } from './sync.js';

/** A contact, and where its entry stands. */
export interface FiledContact extends Correspondent {
  readonly frameIndex: number;
}

/** Everybody in the replica of the contacts' catalog, by address. */
export async function contactsOf(device: Device): Promise<ReadonlyMap<string, FiledContact>> {
  const replica = await device.replica(contactCatalog);
  const key = readingKey(device.session);
  const found = new Map<string, FiledContact>();
  for (const { current } of replica.reader.replay?.items.values() ?? []) {
    const plain = plainOf(openEnvelope(await replica.envelope(current)), key);
    const contact = plain && readContact(plain);
    if (contact !== undefined) found.set(contact.address, { ...contact, frameIndex: current });
  }
  return found;
}

/** Whom to allow what. */
export interface Allowance {
  /** Canonical. */
  readonly address: string;
  /** Message types; `*` all, none blocks. */
  readonly permissions: readonly string[];
  /** The person's ProfileAccount, where it is known. */
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
 * Says whose messages are taken (semantics 8.3): writes or replaces the person's entry in the contacts' catalog. An account
 * that is known is never replaced by another without a word (S72).
 *
 * @throws ClientError `profile` for a card of another account than the one known before
 */
export async function allowContact(device: Device, { address, permissions, card }: Allowance): Promise<Allowed> {
  const { session } = device;
  const { environment, home } = session;
  await requireNoEvidence(home);
  await syncAccount(device, [contactCatalog]);
  const known = (await contactsOf(device)).get(address);
  const shown = card && (await accountOfCard(card, address));
  requireSamePerson(address, known?.account, shown);
  const account = shown ?? known?.account;
  const person: Correspondent = { key: known?.key ?? nonceUdf(environment.random), address, permissions, account };
  const batch = await enqueue(home, contactCatalog, [
    {
      ...{ name: address, uniqueId: person.key, base: known?.frameIndex, modifiedMs: environment.nowMs() },
      body: encryptBody(session, contactBody(person)),
      keyValues: permissionValues(person),
    },
  ]);
  const flushed = await recordingEvidence(device, () => flushPending(device));
  const failure = flushed.failures.find(({ container }) => container === contactCatalog);
  if (failure !== undefined) throw failure.error;
  const place = flushed.placed.find((each) => each.batch === batch);
  if (place === undefined) throw new ClientError('conflict', `another device has changed ${address}; try again`);
  return { address, permissions, accountUdf: account && accountKeys(account).udf, frameIndex: place.frameIndex };
}

function requireSamePerson(
  address: string,
  known: ProfileAccount | undefined,
  shown: ProfileAccount | undefined,
): void {
  if (known === undefined || shown === undefined || accountKeys(known).udf === accountKeys(shown).udf) return;
  throw new ClientError(
    'profile',
    `${address} was another account before; ask the person, and remove the contact first if it is right`,
  );
}
