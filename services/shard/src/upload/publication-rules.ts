import { readEnvelope } from '@meshd/dare/envelope';
import { publicationBytesMax, publicationsPerAccountMax } from '@meshd/limits/hailing';
import { publicationCatalog } from '@meshd/schema/container-name';
import { isPublicationIdentifier } from '@meshd/schema/publication';
import type { AccountReader, CatalogKey, ContainerState } from '../storage/store.js';
import { type EntryFault, reject } from './fault.js';
import type { UploadedFrame } from './frame.js';
import type { KeyState } from './view.js';

/*
 * What an account may publish (semantics 7.6): entries of `mmm_Publication`, whose key is the identifier of an EARL and whose
 * body is served to anybody who knows it. The body is one DARE envelope and so no page, script or picture; whether anybody
 * can open it is not this service's business.
 */

/** Judges each entry by itself: identifier, size and form of what is to be served. */
export function judgePublications(container: string, frames: readonly UploadedFrame[]): EntryFault[] {
  if (container !== publicationCatalog) return [];
  return frames.map(judgeOne).filter((fault) => fault !== undefined);
}

function judgeOne({ indexRequest, meta, octets, redacted }: UploadedFrame): EntryFault | undefined {
  const { UniqueID: identifier = '', Event: event } = meta;
  if (event !== 'New' && event !== 'Update') return undefined;
  if (!isPublicationIdentifier(identifier)) {
    return reject(indexRequest, 'event-rule', 'UniqueID of a publication is the identifier of an EARL');
  }
  if (redacted) return undefined;
  const payload = octets.payload ?? new Uint8Array(0);
  if (payload.length > publicationBytesMax) {
    return reject(indexRequest, 'too-large', `a publication has at most ${publicationBytesMax} octets`);
  }
  return isJsonEnvelope(payload)
    ? undefined
    : reject(indexRequest, 'malformed', 'what is published is a DARE envelope in JSON');
}

function isJsonEnvelope(octets: Uint8Array): boolean {
  const open = '['.charCodeAt(0);
  if (octets[0] !== open) return false;
  try {
    readEnvelope(octets);
    return true;
  } catch {
    return false;
  }
}

/** By how many publications a batch adds to those that are there: less than 0 where it withdraws more than it makes. */
export function publicationsAdded(before: ReadonlyMap<string, KeyState>, after: readonly CatalogKey[]): number {
  return after.reduce((sum, { uniqueId, deleted }) => sum + (deleted ? 0 : 1) - (before.has(uniqueId) ? 1 : 0), 0);
}

/**
 * Whether the account may publish as much as it would.
 *
 * @param added by all batches of the request so far, this one included
 */
export async function judgePublicationCount(
  reader: Pick<AccountReader, 'liveKeyCount'>,
  stored: ContainerState | undefined,
  added: number,
  indexRequest: number,
): Promise<EntryFault | undefined> {
  if (added <= 0) return undefined;
  const live = stored === undefined ? 0 : await reader.liveKeyCount(stored);
  if (live + added <= publicationsPerAccountMax) return undefined;
  return reject(indexRequest, 'quota', `an account publishes at most ${publicationsPerAccountMax} things at a time`);
}
