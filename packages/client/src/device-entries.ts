import { canonicalName, udfEquals } from '@meshd/crypto/udf';
import type { FrameDraft } from '@meshd/dare/batch';
import { openEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { type AccountEntry, CatalogedDevice } from '@meshd/schema/catalog';
import { deviceCatalog, itemContentType } from '@meshd/schema/container-name';
import type { Device } from './device.js';
import { decodeDeviceEntry } from './entitlement.js';
import { signed } from './identity.js';

/** A device's entry as it is now, and where it lies. */
export interface DeviceEntry {
  readonly deviceUdf: string;
  readonly entry: CatalogedDevice;
  readonly first: number;
  readonly current: number;
}

/** The entries of the verified device catalog, in the order in which devices came. */
export async function deviceEntries(device: Device): Promise<DeviceEntry[]> {
  const catalog = await device.replica(deviceCatalog);
  const entries: DeviceEntry[] = [];
  for (const [deviceUdf, { first, current }] of catalog.reader.replay?.items ?? []) {
    const { payload } = await catalog.envelope(current);
    if (payload !== null) entries.push({ deviceUdf, entry: decodeDeviceEntry(payload), first, current });
  }
  return entries;
}

/** How an entry is replaced. */
export interface UpdateOptions {
  readonly nowMs: number;
  /** A device that is shut out in the same batch. */
  readonly shutOut?: string | undefined;
}

/** What takes the place of an entry. @throws ClientError `usage` on a device that does not administer */
export async function updateDraft(
  device: Device,
  { deviceUdf, first, current }: DeviceEntry,
  entry: CatalogedDevice,
  { nowMs, shutOut }: UpdateOptions,
): Promise<FrameDraft> {
  const links = { Modified: new Date(nowMs), First: first, Previous: current };
  return {
    contentMeta: { UniqueID: deviceUdf, cty: itemContentType, Event: 'Update', ...links },
    payload: encodeTagged(CatalogedDevice, await vouchedFor(device, entry, shutOut), 'json'),
  };
}

/**
 * The entry with its connection to the Mesh signed by somebody who administers: the service takes none that a device has
 * signed which was shut out. The connection stays the same; its payload decides what it is (S24).
 */
async function vouchedFor(device: Device, entry: CatalogedDevice, shutOut?: string): Promise<CatalogedDevice> {
  const { EnvelopedConnectionDevice: connection } = entry;
  if (connection?.payload === undefined || connection.payload === null) return entry;
  const { authority, devices } = await device.cataloged();
  const administrators = devices.flatMap(({ deviceUdf, meshKey }) => (deviceUdf === shutOut ? [] : (meshKey ?? [])));
  const { meshUdf } = device.session.identity;
  const trusted = [...administrators, ...authority.meshKeys.filter(({ udf }) => udf === meshUdf)];
  const signers = openEnvelope(connection).signatures.map(({ kid = '' }) => canonicalName(kid));
  if (trusted.some(({ udf }) => signers.includes(udf))) return entry;
  const EnvelopedConnectionDevice = signed(connection.payload, device.session.keys.key('meshOnline'));
  return { ...entry, EnvelopedConnectionDevice };
}

const isPart = ({ AccountUDF: udf }: AccountEntry, accountUdf: string) =>
  udf !== undefined && udfEquals(udf, accountUdf);

/** What an entry says of an account. */
export function partOf({ Accounts: accounts = [] }: CatalogedDevice, accountUdf: string): AccountEntry | undefined {
  return accounts.find((part) => isPart(part, accountUdf));
}

/** An entry with other members for the account. */
export function withPart(entry: CatalogedDevice, accountUdf: string, change: Partial<AccountEntry>): CatalogedDevice {
  const accounts = (entry.Accounts ?? []).map((part) => (isPart(part, accountUdf) ? { ...part, ...change } : part));
  return { ...entry, Accounts: accounts };
}
