import { canonicalName } from '@meshd/crypto/udf';
import { openEnvelope } from '@meshd/dare/envelope';
import { deviceCatalog } from '@meshd/schema/container-name';
import { type Authority, cutsOf, type RevokedDevice, type WritingDevice, writingDevice } from './entitlement.js';
import { ClientError } from './errors.js';
import type { Replica } from './replica.js';

/** What the device catalog said at a size of it. */
export interface CatalogedDevices {
  readonly authority: Authority;
  readonly size: number;
  readonly devices: readonly WritingDevice[];
  readonly revoked: readonly RevokedDevice[];
  /** When a device was shut out last, by the clock of who did it; 0 where none was. The account's key is newer, or stale (S62). */
  readonly shutOutMs: number;
}

/**
 * Reads a verified replica of the device catalog: who writes, and who wrote until when.
 *
 * @throws ClientError `frame` where an administrator has signed something after it was shut out: with the service's help it was
 *   let in again (S25, S48)
 */
export async function catalogedDevices(catalog: Replica, authority: Authority): Promise<CatalogedDevices> {
  const { size, replay } = catalog.reader;
  const deviceAt = async (frameIndex: number, uniqueId: string) => {
    const { payload } = await catalog.envelope(frameIndex);
    return payload === null ? undefined : writingDevice(payload, uniqueId, authority);
  };
  const devices: WritingDevice[] = [];
  for (const [uniqueId, { current }] of replay?.items ?? []) {
    const device = await deviceAt(current, uniqueId);
    if (device !== undefined) devices.push(device);
  }
  const revoked: RevokedDevice[] = [];
  const signers: string[] = [];
  let shutOutMs = 0;
  for (let frameIndex = 1; frameIndex < size; frameIndex += 1) {
    const { contentMetaData: meta = {}, signatures } = openEnvelope(await catalog.envelope(frameIndex));
    signers[frameIndex] = canonicalName(signatures.find(({ Manifest }) => Manifest !== undefined)?.kid ?? '');
    if (meta.Event !== 'Delete' || meta.Previous === undefined || meta.UniqueID === undefined) continue;
    const device = await deviceAt(meta.Previous, meta.UniqueID);
    if (device === undefined) continue;
    revoked.push({ ...device, cuts: cutsOf(meta.KeyValues) });
    shutOutMs = Math.max(shutOutMs, meta.Modified?.getTime() ?? 0);
  }
  requireNoneAfterCut(signers, devices, revoked);
  return { authority, size, devices, revoked, shutOutMs };
}

function requireNoneAfterCut(
  signers: readonly string[],
  devices: readonly WritingDevice[],
  revoked: readonly RevokedDevice[],
): void {
  for (const { meshKey, cuts, deviceUdf } of revoked) {
    if (meshKey === undefined || devices.some((device) => device.meshKey?.equals(meshKey))) continue;
    const cut = cuts.get(deviceCatalog)?.size ?? 0;
    const at = signers.findIndex((kid, frameIndex) => frameIndex >= cut && kid === meshKey.udf);
    if (at === -1) continue;
    throw new ClientError(
      'frame',
      `frame ${at} of ${deviceCatalog} is signed by the administrator ${deviceUdf}, which was shut out before: stop using this service and keep this home as evidence`,
    );
  }
}
