import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { appendFrame } from '../frame.js';
import type { Replica } from '../replica.js';
import { requireSuccess } from '../session.js';
import { rollbackError } from './account-status.js';

/** Status of an upload that meets another writer's frames (semantics 6.6). */
const conflictStatus = 409;

/** `ID` of another request with another content; a fresh one will do (encoding 6.6). */
const reusedId = { status: 401, extended: 20 } as const;

/**
 * Uploads one sealed batch and makes it part of the replica.
 *
 * @param id of an earlier attempt, whose answer was lost
 * @param self messages for the account's own inbound spool, in the same transaction: all or nothing
 * @returns false on a conflict: the replica is stale, nothing was written
 * @throws ClientError `refused`
 */
export async function sendBatch(
  device: Device,
  replica: Replica,
  envelopes: readonly EnvelopeOctets[],
  id?: Uint8Array,
  self: readonly EnvelopeOctets[] = [],
): Promise<boolean> {
  const { reader } = replica;
  const { container, size: before } = reader;
  const after = envelopes.reduce((trees, octets) => appendFrame(trees, octets).trees, reader.trees);
  const digest = apex(after.tree);
  const update = {
    Container: container,
    Index: before,
    ...(digest === undefined ? {} : { Digest: digest }),
    Envelopes: [...envelopes],
  };
  const upload = (requestId?: Uint8Array) =>
    device.session.call('Upload', { Updates: [update], ...(self.length === 0 ? {} : { Self: [...self] }) }, [], {
      id: requestId,
    });
  let response = await upload(id);
  const isReused = response.status === reusedId.status && response.statusExtended === reusedId.extended;
  if (isReused && id !== undefined) response = await upload();
  if (response.status === conflictStatus) return false;
  requireSuccess(`the entries for ${container}`, response);
  // Entries of the updates first, then the messages.
  requirePlaces(container, before, envelopes.length, (response.message.Entries ?? []).slice(0, envelopes.length));
  const signed = await device.heads.judge(response.message.EnvelopedHeads);
  const head = signed?.heads.get(container);
  // Through the reader's own checks: what this device writes must be what every other will accept.
  const accepted = await reader.take(envelopes, await device.writers(), head === undefined ? [] : [head]);
  await replica.store(accepted);
  if (head !== undefined && reader.head !== undefined && head.size < reader.size) {
    throw rollbackError(container, reader.head, head);
  }
  return true;
}

/** The service must have put every entry where the manifest says it is. */
function requirePlaces(
  container: string,
  firstIndex: number,
  count: number,
  entries: readonly { readonly Result?: string | undefined; readonly IndexContainer?: number | undefined }[],
): void {
  const placed = entries.every((entry, at) => entry.Result === 'Accept' && entry.IndexContainer === firstIndex + at);
  if (entries.length === count && placed) return;
  throw new ClientError('unavailable', `the service does not say where it put the entries of ${container}; run sync`);
}
