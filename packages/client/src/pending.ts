import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { Header, type KeyValue } from '@meshd/dare/header';
import { decodeObject, encodeObject } from '@meshd/encoding/codec';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';
import { nextQueueName } from './queue-name.js';
import type { PlannedEntry } from './writer.js';

const folder = 'pending';
const suffix = '.json';
const sentSuffix = '.sent.json';

/** A change that waits to be uploaded, with what its author knew. */
export interface PendingEntry extends PlannedEntry {
  /** Frame of the key's current instance when the change was made; undefined where there was none. */
  readonly base: number | undefined;
  readonly modifiedMs: number;
}

/** Changes that are uploaded together. */
export interface PendingBatch {
  /** Name in the queue; later ones sort behind. */
  readonly name: string;
  readonly container: string;
  readonly entries: readonly PendingEntry[];
}

/** A batch as it was sent: until its fate is known, it is sent again as it was. */
export interface SentBatch {
  /** `ID` of the request. */
  readonly id: Uint8Array;
  readonly sentMs: number;
  /** Frame index of the first envelope. */
  readonly index: number;
  readonly envelopes: readonly EnvelopeOctets[];
  /** What the last envelopes hold, in order. */
  readonly entries: readonly { readonly name: string; readonly uniqueId: string }[];
}

interface StoredEntry {
  name: string;
  uniqueId: string;
  base?: number;
  modifiedMs: number;
  body?: { header: string; payload: string };
  keyValues?: readonly KeyValue[];
}

interface StoredBatch {
  version: 1;
  container: string;
  entries: StoredEntry[];
}

interface StoredSent {
  version: 1;
  id: string;
  sentMs: number;
  index: number;
  envelopes: string[];
  entries: { name: string; uniqueId: string }[];
}

function toStored({ name, uniqueId, base, modifiedMs, body, keyValues }: PendingEntry): StoredEntry {
  return {
    ...{ name, uniqueId, modifiedMs },
    ...(base === undefined ? {} : { base }),
    ...(keyValues === undefined ? {} : { keyValues }),
    ...(body === undefined
      ? {}
      : {
          body: {
            header: octetsToText(encodeObject(Header, body.header, 'json')),
            payload: octetsToText(body.payload),
          },
        }),
  };
}

function toEntry({ name, uniqueId, base, modifiedMs, body, keyValues }: StoredEntry): PendingEntry {
  const header = body && decodeObject(Header, textToOctets(body.header), { form: 'json' });
  return {
    ...{ name, uniqueId, base, modifiedMs, keyValues },
    body: body && header && { header, payload: textToOctets(body.payload) },
  };
}

async function namesIn(home: Home): Promise<string[]> {
  const files = await home.list(folder);
  return files
    .filter((file) => file.endsWith(suffix) && !file.endsWith(sentSuffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

/** The queue, in the order in which the changes were made. */
export async function loadPending(home: Home): Promise<PendingBatch[]> {
  const batches: PendingBatch[] = [];
  for (const name of await namesIn(home)) {
    const stored = await home.readJson<StoredBatch>(folder, `${name}${suffix}`);
    if (stored?.version === 1) {
      batches.push({ name, container: stored.container, entries: stored.entries.map(toEntry) });
    }
  }
  return batches;
}

/** Writes a batch as it is now; it was in the queue before. */
export async function savePending(home: Home, { name, container, entries }: PendingBatch): Promise<void> {
  const stored: StoredBatch = { version: 1, container, entries: entries.map(toStored) };
  await home.writeJson(stored, folder, `${name}${suffix}`);
}

/** Puts a batch at the end of the queue, durably. @returns its name there */
export async function enqueue(home: Home, container: string, entries: readonly PendingEntry[]): Promise<string> {
  const name = nextQueueName(await namesIn(home));
  await savePending(home, { name, container, entries });
  return name;
}

/** Takes a batch out of the queue: it is done, or given up. */
export async function dequeue(home: Home, name: string): Promise<void> {
  // In this order: a batch without the note would be uploaded a second time after a crash, a note alone is nothing.
  await home.remove(folder, `${name}${suffix}`);
  await home.remove(folder, `${name}${sentSuffix}`);
}

/** Notes durably what is about to be sent. */
export async function saveSent(home: Home, name: string, sent: SentBatch): Promise<void> {
  const stored: StoredSent = {
    ...{ version: 1, id: octetsToText(sent.id), sentMs: sent.sentMs, index: sent.index },
    envelopes: sent.envelopes.map((octets) => octetsToText(writeEnvelope(octets, 'json-b'))),
    entries: sent.entries.map(({ name: entry, uniqueId }) => ({ name: entry, uniqueId })),
  };
  await home.writeJson(stored, folder, `${name}${sentSuffix}`);
}

/** What was sent of a batch by an earlier attempt, or an earlier run. */
export async function loadSent(home: Home, name: string): Promise<SentBatch | undefined> {
  const stored = await home.readJson<StoredSent>(folder, `${name}${sentSuffix}`);
  if (stored?.version !== 1) return undefined;
  const { sentMs, index, entries } = stored;
  const envelopes = stored.envelopes.map((text) => readEnvelope(textToOctets(text), 'json-b'));
  return { id: textToOctets(stored.id), sentMs, index, envelopes, entries };
}

/** Forgets an attempt that was refused: the next one is made anew. */
export async function forgetSent(home: Home, name: string): Promise<void> {
  await home.remove(folder, `${name}${sentSuffix}`);
}
