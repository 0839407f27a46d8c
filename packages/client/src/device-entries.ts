import { udfEquals } from '@meshd/crypto/udf';
import type { FrameDraft } from '@meshd/dare/batch';
import { encodeTagged } from '@meshd/encoding/codec';
import { type AccountEntry, CatalogedDevice } from '@meshd/schema/catalog';
import { deviceCatalog, itemContentType } from '@meshd/schema/container-name';
import type { Device } from './device.js';
import { decodeDeviceEntry } from './entitlement.js';

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

/** What takes the place of an entry. */
export function updateDraft(
  { deviceUdf, first, current }: DeviceEntry,
  entry: CatalogedDevice,
  nowMs: number,
): FrameDraft {
  const links = { Modified: new Date(nowMs), First: first, Previous: current };
  return {
    contentMeta: { UniqueID: deviceUdf, cty: itemContentType, Event: 'Update', ...links },
    payload: encodeTagged(CatalogedDevice, entry, 'json'),
  };
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
