import { nonceUdf } from '@meshd/crypto/udf';
import { uniqueIdFor } from '../blind.js';
import type { ItemFields, ItemKind } from '../catalog/kinds.js';
import { openedItems } from '../catalog/opened-items.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { requireReading } from '../own-permissions.js';
import { enqueue, loadPending, type PendingEntry } from '../pending.js';
import { plainOfPlanned, readingKey } from '../reading-key.js';
import { encryptBody } from '../writer.js';
import { flushPending } from './flush.js';
import { recordingEvidence } from './record-evidence.js';
import { readableReplica, syncAccount } from './sync.js';

/** An entry of a catalog. */
export interface CatalogItem {
  /** Plain key. */
  readonly key: string;
  readonly fields: ItemFields;
  /** The change waits here for a connection. */
  readonly isWaiting: boolean;
}

/** So many keys are told where a name means several entries. */
const keysShownMax = 3;

/** Whether to work without a connection. */
export interface ItemOptions {
  readonly offline?: boolean | undefined;
}

/**
 * The entries of a catalog, by key, with what waits here on top: what this device has changed it sees at once.
 *
 * @throws ClientError
 */
export async function catalogItems(device: Device, kind: ItemKind, options: ItemOptions = {}): Promise<CatalogItem[]> {
  requireReading(device, kind.container);
  if (options.offline !== true) await syncAccount(device, [kind.container]);
  const replica = await readableReplica(device, kind.container);
  const items = new Map<string, CatalogItem>();
  for (const { uniqueId, body } of await openedItems(device, replica)) {
    const item = itemOf(kind, body, false);
    if (item !== undefined) items.set(uniqueId, item);
  }
  for (const entry of await waitingEntries(device, kind)) {
    const plain = plainOfPlanned(entry, readingKey(device.session));
    const item = plain && itemOf(kind, plain, true);
    if (item === undefined) items.delete(entry.uniqueId);
    else items.set(entry.uniqueId, item);
  }
  return [...items.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function waitingEntries({ session }: Device, { container }: ItemKind): Promise<PendingEntry[]> {
  const queue = await loadPending(session.home);
  return queue.filter((batch) => batch.container === container).flatMap(({ entries }) => entries);
}

function itemOf(kind: ItemKind, body: Uint8Array, isWaiting: boolean): CatalogItem | undefined {
  try {
    const fields = kind.decode(body);
    return fields && { key: kind.keyOf(fields), fields, isWaiting };
  } catch {
    // An entry of another program, which this one cannot read.
    return undefined;
  }
}

/** One entry, named as {@link itemNamed} says. @throws ClientError `usage` where there is none */
export async function catalogItem(
  device: Device,
  kind: ItemKind,
  key: string,
  options: ItemOptions = {},
): Promise<CatalogItem> {
  return itemNamed(kind, await catalogItems(device, kind, options), key);
}

/**
 * By the key, else by what people call it, else by the beginning of either where that is enough.
 *
 * @throws ClientError `usage` where there is none or more than one
 */
export function itemNamed({ name, called }: ItemKind, items: readonly CatalogItem[], text: string): CatalogItem {
  const namesOf = ({ key, fields }: CatalogItem) => [key, fields[called] ?? ''];
  const ways: ((item: CatalogItem) => boolean)[] = [
    ({ key }) => key === text,
    (item) => namesOf(item).includes(text),
    (item) => namesOf(item).some((each) => each.startsWith(text)),
  ];
  const found = ways.map((is) => items.filter(is)).find(({ length }) => length > 0) ?? [];
  if (found.length === 1) return found[0] as CatalogItem;
  const keys = found.slice(0, keysShownMax).map(({ key }) => key);
  const why = found.length === 0 ? `there is no ${name} ${text}` : `${text} means ${keys.join(', ')}`;
  const more = found.length > keys.length ? ` and ${found.length - keys.length} more` : '';
  throw new ClientError('usage', `${why}${more}; see mesh ${name} list`);
}

/**
 * Entries in which every word of a text occurs, in whatever member and case; secrets are not searched.
 *
 * Pure and quick: 10,000 entries are looked through in some milliseconds.
 */
export function searchItems(kind: ItemKind, items: readonly CatalogItem[], text: string): CatalogItem[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const names = kind.fields.filter((name) => !kind.secrets.has(name));
  return items.filter(({ fields }) => {
    const texts = names.map((name) => (fields[name] ?? '').toLowerCase());
    return words.every((word) => texts.some((each) => each.includes(word)));
  });
}

/** What a change came to. */
export interface ChangedItem {
  readonly key: string;
  /** It could not be sent and waits here. */
  readonly isWaiting: boolean;
}

/**
 * Writes an entry: a new one, or in place of the one under the same key. Without a connection it waits, and the next
 * synchronisation sends it.
 *
 * @throws ClientError `entry`, `refused`
 */
export async function putItem(
  device: Device,
  kind: ItemKind,
  fields: ItemFields,
  options: ItemOptions = {},
): Promise<ChangedItem> {
  const key = kind.keyOf(fields);
  return change(device, kind, key, encryptBody(device.session, kind.encode(fields)), options);
}

/** Deletes an entry. @throws ClientError `usage` where there is none, `refused` */
export async function deleteItem(
  device: Device,
  kind: ItemKind,
  name: string,
  options: ItemOptions = {},
): Promise<ChangedItem> {
  const { key } = await catalogItem(device, kind, name, options);
  return change(device, kind, key, undefined, options);
}

/** A key for an entry that has none of its own. */
export function freshItemKey({ session }: Device): string {
  return nonceUdf(session.environment.random);
}

async function change(
  device: Device,
  { container, name }: ItemKind,
  key: string,
  body: PendingEntry['body'],
  { offline = false }: ItemOptions,
): Promise<ChangedItem> {
  const { environment, home, keys } = device.session;
  await requireNoEvidence(home);
  requireReading(device, container);
  if (!offline) await syncAccount(device, [container]);
  const { replay } = (await readableReplicaOf(device, container, offline)).reader;
  const uniqueId = uniqueIdFor(keys.keyBlind, container, key);
  const base = replay?.items.get(uniqueId)?.current;
  const entry = { name: key, uniqueId, body, base, modifiedMs: environment.nowMs() };
  const batch = await enqueue(home, container, [entry]);
  if (offline) return { key, isWaiting: true };
  return recordingEvidence(device, async () => {
    const flushed = await flushPending(device);
    const failure = flushed.failures.find((each) => each.container === container);
    if (failure !== undefined) throw failure.error;
    const isPlaced = flushed.placed.some((each) => each.batch === batch);
    if (!isPlaced && flushed.conflicts.some((conflict) => conflict.name === key)) {
      throw new ClientError('conflict', `another device has changed the ${name} ${key}; look at it and try again`);
    }
    return { key, isWaiting: !isPlaced };
  });
}

function readableReplicaOf(device: Device, container: string, offline: boolean) {
  return offline ? device.replica(container) : readableReplica(device, container);
}
