import { openEnvelope } from '@meshd/dare/envelope';
import type { Device } from '../device.js';
import { showProgress } from '../environment.js';
import { octetsToText, textToOctets } from '../octet-text.js';
import { plainOf, readingKey } from '../reading-key.js';
import type { Replica } from '../replica.js';

/*
 * Entries of a catalog, decrypted. Opening one costs an agreement on Ed448, some milliseconds each: so what was opened is kept
 * beside the replica, in the home that holds the keys to it anyway, and only new entries are opened the next time.
 */

const folder = 'opened';

interface Stored {
  version: 1;
  /** By `UniqueID`. Frames never change, so a body belongs to its frame for good. */
  items: Record<string, { frameIndex: number; body: string }>;
}

/** An entry's current body. */
export interface OpenedItem {
  readonly uniqueId: string;
  readonly frameIndex: number;
  /** The tagged object in JSON, padding included. */
  readonly body: Uint8Array;
}

/**
 * The current entries of a replica, in no particular order. Bodies that were left out, or cannot be opened with the keys of
 * this device, are missing.
 */
export async function openedItems(device: Device, replica: Replica): Promise<OpenedItem[]> {
  const { home, environment } = device.session;
  const { container, replay } = replica.reader;
  const path = [folder, `${container}.json`] as const;
  const stored = await home.readJson<Stored>(...path);
  const known = stored?.version === 1 ? stored.items : {};
  const current = [...(replay?.items ?? [])];
  const items: OpenedItem[] = [];
  let openedCount = 0;
  for (const [uniqueId, { current: frameIndex }] of current) {
    const kept = known[uniqueId];
    const isKept = kept !== undefined && kept.frameIndex === frameIndex;
    const body = isKept ? textToOctets(kept.body) : await openAt(device, replica, frameIndex);
    if (!isKept) {
      openedCount += 1;
      await showProgress(environment, 'opening', openedCount, current.length);
    }
    if (body !== undefined) items.push({ uniqueId, frameIndex, body });
  }
  if (openedCount > 0 || items.length !== Object.keys(known).length) {
    const entries = items.map(({ uniqueId, frameIndex, body }) => [uniqueId, { frameIndex, body: octetsToText(body) }]);
    await home.writeJson({ version: 1, items: Object.fromEntries(entries) } satisfies Stored, ...path);
  }
  return items;
}

async function openAt(device: Device, replica: Replica, frameIndex: number): Promise<Uint8Array | undefined> {
  try {
    return plainOf(openEnvelope(await replica.envelope(frameIndex)), readingKey(device.session));
  } catch {
    // Encrypted to a key that this device does not have, or damaged: it is not shown as anybody's entry.
    return undefined;
  }
}
