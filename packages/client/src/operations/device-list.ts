import { canonicalName, udfEquals } from '@meshd/crypto/udf';
import type { KeyValue } from '@meshd/dare/header';
import type { ContainerHead, Permission } from '@meshd/schema/connections';
import { deviceCatalog } from '@meshd/schema/container-name';
import { verifyProfile } from '@meshd/schema/profile-check';
import type { Device } from '../device.js';
import { authorityOf, decodeDeviceEntry, writingDevice } from '../entitlement.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { octetsToText } from '../octet-text.js';
import { seal } from '../writer.js';
import { sendBatch } from './send-batch.js';
import { verifiedStores } from './stores.js';
import { readableReplica, syncAccount } from './sync.js';

/** A device of the account. */
export interface ListedDevice {
  readonly deviceUdf: string;
  /** As the device said of itself when it asked. */
  readonly description: string;
  readonly isThis: boolean;
  /** It may administer the account: its Mesh key stands in the profile, or it is this device and has such a key. */
  readonly isAdministrator: boolean;
  /** Empty: every store. */
  readonly permissions: readonly Permission[];
}

/** The devices that the account has now, each entry verified. @throws ClientError */
export async function listDevices(device: Device): Promise<ListedDevice[]> {
  const { session } = device;
  await syncAccount(device, [deviceCatalog]);
  const replica = await readableReplica(device, deviceCatalog);
  const authority = await authorityOf(session.identity, session.state.address);
  const administrators = await session.administrationKeys();
  const listed: ListedDevice[] = [];
  for (const [deviceUdf, { current }] of replica.reader.replay?.items ?? []) {
    const { payload } = await replica.envelope(current);
    if (payload === null) continue;
    const entry = decodeDeviceEntry(payload);
    const writing = await writingDevice(payload, deviceUdf, authority);
    const profile =
      entry.EnvelopedProfileDevice && (await verifyProfile(entry.EnvelopedProfileDevice, 'ProfileDevice'));
    const meshKey = canonicalName(entry.UDF ?? '');
    const isThis = udfEquals(deviceUdf, session.identity.deviceUdf);
    listed.push({
      ...{ deviceUdf, description: profile?.profile.Description ?? '', permissions: writing?.permissions ?? [] },
      isThis,
      isAdministrator: (isThis && session.keys.has('meshOnline')) || administrators.some(({ udf }) => udf === meshKey),
    });
  }
  return listed;
}

/** One device by its name or the beginning of it. @throws ClientError `usage` */
export function deviceNamed(devices: readonly ListedDevice[], name: string): ListedDevice {
  const found = devices.filter(({ deviceUdf }) => deviceUdf.startsWith(name.toUpperCase()));
  if (found.length === 1) return found[0] as ListedDevice;
  const why = found.length === 0 ? `there is no device ${name}` : `${name} means ${found.length} devices`;
  throw new ClientError('usage', `${why}; see mesh device list`);
}

/** Where a revoked device's hand ends in each store, as this device has verified it (S48). */
export function cutsOfStores(stores: readonly ContainerHead[]): KeyValue[] {
  return stores.flatMap(({ Container: name, Index: size, Root: root }) => {
    if (name === undefined || size === undefined || root === undefined) return [];
    return [{ Key: `Cut:${name}`, Value: `${size}:${octetsToText(root)}` }];
  });
}

/**
 * Shuts a device out (S25, S48): its entry is deleted, and what it has written counts up to where each store stands now. The
 * service refuses it from then on; whatever it holds by then, it holds.
 *
 * @throws ClientError `usage` for this device, `refused`, `conflict` where another device writes at the same time
 */
export async function revokeDevice(device: Device, name: string): Promise<ListedDevice> {
  const { session } = device;
  const { environment, keys, home } = session;
  await requireNoEvidence(home);
  const signer = keys.key('meshOnline');
  const revoked = deviceNamed(await listDevices(device), name);
  if (revoked.isThis)
    throw new ClientError('usage', 'a device does not revoke itself; use another administration device');
  await syncAccount(device);
  const replica = await device.replica(deviceCatalog);
  const known = replica.reader.replay?.items.get(revoked.deviceUdf);
  if (known === undefined)
    throw new ClientError('conflict', 'another device has changed the device catalog; try again');
  const contentMeta = {
    ...{ UniqueID: revoked.deviceUdf, Event: 'Delete', Modified: new Date(environment.nowMs()) },
    ...{ First: known.first, Previous: known.current, KeyValues: cutsOfStores(await verifiedStores(device)) },
  };
  const { envelopes } = seal(session, replica.reader, [{ contentMeta, payload: new Uint8Array(0) }], signer);
  if (await sendBatch(device, replica, envelopes)) return revoked;
  throw new ClientError('conflict', 'another device has changed the device catalog; try again');
}
