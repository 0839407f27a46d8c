import type { FrameDraft } from '@meshd/dare/batch';
import { deviceCatalog } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { seal } from '../writer.js';
import { sendBatch } from './send-batch.js';
import { syncAccount } from './sync.js';

/** Others may change the device catalog so often before the user is told. */
const conflictsMax = 5;

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
  for (let attempt = 0; attempt < conflictsMax; attempt += 1) {
    await syncAccount(device, only);
    const signer = session.keys.key(by);
    const catalog = await device.replica(deviceCatalog);
    const { envelopes } = seal(session, catalog.reader, await draft(), signer);
    if (await sendBatch(device, catalog, envelopes)) return;
  }
  throw new ClientError('conflict', 'others keep changing the device catalog; try again');
}
