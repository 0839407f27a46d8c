import type { FrameDraft } from '@meshd/dare/batch';
import { deviceConflictsMax } from '@meshd/limits/client';
import { deviceCatalog } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { seal } from '../writer.js';
import { sendBatch } from './send-batch.js';
import { syncAccount } from './sync.js';

/**
 * Changes the device catalog under the administrator's manifest (S25), anew where another device was faster.
 *
 * @param draft what is to be written, on top of the catalog as it is then
 * @param only containers that must be up to date for that, beside the catalog; all where absent
 * @param by the key that signs; the Mesh's own where a device lists itself (S25)
 * @throws ClientError `usage` on a device that does not administer, `refused`, `conflict`
 */
export async function changeDevices(
  device: Device,
  draft: () => Promise<readonly FrameDraft[]>,
  only?: readonly string[],
  by: 'meshOnline' | 'meshOffline' = 'meshOnline',
): Promise<void> {
  const { session } = device;
  await requireNoEvidence(session.home);
  for (let attempt = 0; attempt < deviceConflictsMax; attempt += 1) {
    await syncAccount(device, only);
    const signer = session.keys.key(by);
    const catalog = await device.replica(deviceCatalog);
    const { envelopes } = seal(session, catalog.reader, await draft(), signer);
    if (await sendBatch(device, catalog, envelopes)) return;
  }
  throw new ClientError('conflict', 'others keep changing the device catalog; try again');
}
