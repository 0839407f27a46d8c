import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { uploadDevicesMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { accountOnlineKeys, adminKeys } from '../account-keys.js';
import type { Caller } from '../authorise.js';
import type { AccountReader, DeviceRow } from '../storage/store.js';
import { type DeviceEvent, deviceChanges } from './device-changes.js';
import { type ConnectionAuthority, keysOfDeviceEntry, verifyDeviceEntry } from './device-entry.js';
import type { KeyChange } from './events.js';
import { type EntryFault, isFault } from './fault.js';
import type { UploadedFrame } from './frame.js';
import type { JudgedBatch } from './judge.js';
import { judgeCuts } from './revocation-cuts.js';

/** What a batch of the device catalog changes beside its frames; in force with the same commit. */
export interface DeviceWork {
  readonly devices: readonly DeviceRow[];
  readonly revokedKeys: readonly Uint8Array[];
  /** The catalog has an entry now: bootstrap is over for good (S25). */
  readonly deviceCatalogBegun?: true;
}

/**
 * Verifies the entries of a batch of the device catalog and derives what it makes of the account's devices.
 *
 * @param signer administrator whose manifest covers the batch; verified before this costs anything.
 */
export async function judgeDevices(
  reader: AccountReader,
  caller: Caller,
  { batch, changes }: JudgedBatch,
  signer: PublicKeyEd448,
  nowMs: number,
): Promise<DeviceWork | EntryFault[]> {
  if (changes.length > uploadDevicesMax) throw new MeshError('too-large', `at most ${uploadDevicesMax} device entries`);
  const { state } = caller;
  const authority = {
    address: state.address,
    accountUdf: state.accountUdf,
    accountKeys: accountOnlineKeys(state),
    meshKeys: adminKeys(state),
  };
  const entries = new Map(batch.frames.map((frame) => [frame.info?.Index, frame]));
  const events: DeviceEvent[] = [];
  const faults: EntryFault[] = [];
  for (const change of changes) {
    const frame = entries.get(change.frameIndex) as UploadedFrame;
    const entry = change.event === 'Delete' ? undefined : await verifyDeviceEntry(frame, authority);
    const cuts = change.event === 'Delete' ? await judgeCuts(reader, state, frame) : [];
    if (isFault(entry) || isFault(cuts)) {
      faults.push(...[entry, cuts].filter(isFault));
      continue;
    }
    const formerKeys = change.event === 'Delete' ? await formerKeysOf(reader, caller, change, events, authority) : [];
    events.push({ indexRequest: frame.indexRequest, change, entry, formerKeys, cuts });
  }
  if (faults.length > 0) return faults;
  const changed = deviceChanges({ state, signer, callerKey: caller.principal.key, nowMs }, events);
  if (isFault(changed)) return [changed];
  return changes.length === 0 ? changed : { ...changed, deviceCatalogBegun: true };
}

/** Keys of the entry that a Delete ends, be it stored or of this batch. */
async function formerKeysOf(
  reader: AccountReader,
  { state }: Caller,
  change: KeyChange,
  before: readonly DeviceEvent[],
  authority: ConnectionAuthority,
): Promise<readonly Uint8Array[]> {
  const inBatch = before.findLast((event) => event.change.uniqueId === change.uniqueId)?.entry;
  if (inBatch !== undefined) return inBatch.keys;
  const catalog = state.containers.get(deviceCatalog);
  if (catalog === undefined) return [];
  const key = (await reader.catalogKeys(catalog, [change.uniqueId])).get(change.uniqueId);
  if (key === undefined) return [];
  for await (const chunk of reader.frames(catalog, { from: key.latestIndex, to: key.latestIndex })) {
    const payload = chunk[0]?.payload;
    if (payload !== undefined && payload !== null) return keysOfDeviceEntry(payload, authority);
  }
  return [];
}
