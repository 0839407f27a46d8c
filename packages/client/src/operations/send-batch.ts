import type { SealedBatch } from '@meshd/dare/batch';
import { apex } from '@meshd/dare/merkle';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import type { Replica } from '../replica.js';
import { requireSuccess } from '../session.js';

/** Status of an upload that meets another writer's frames (semantics 6.6). */
const conflictStatus = 409;

/**
 * Uploads one sealed batch and makes it part of the replica.
 * @returns false on a conflict: the replica is stale, nothing was written
 * @throws ClientError `refused`
 */
export async function sendBatch(device: Device, replica: Replica, batch: SealedBatch): Promise<boolean> {
  const { reader } = replica;
  const { container } = reader;
  const digest = apex(batch.tree);
  const response = await device.session.call('Upload', {
    Updates: [
      {
        Container: container,
        Index: reader.size,
        ...(digest === undefined ? {} : { Digest: digest }),
        Envelopes: [...batch.envelopes],
      },
    ],
  });
  if (response.status === conflictStatus) return false;
  requireSuccess(`the entries for ${container}`, response);
  requirePlaces(container, reader.size, batch.envelopes.length, response.message.Entries ?? []);
  // Through the reader's own checks: what this device writes must be what every other will accept.
  const accepted = await reader.take(batch.envelopes, await device.writers());
  await replica.store(accepted);
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
