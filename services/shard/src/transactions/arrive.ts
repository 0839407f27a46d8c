import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { accountSpools, deviceCatalog } from '@meshd/schema/container-name';
import { MeshError } from '@meshd/schema/status';
import { accountOnlineKeys, adminKeys } from '../account-keys.js';
import type { ShardContext } from '../context.js';
import type {
  AccountFields,
  AccountState,
  AccountTransactor,
  AccountWrite,
  ContainerState,
  DeviceRow,
} from '../storage/store.js';
import { type DeviceConnection, isBadInput, keysOfDeviceEntry, verifyDeviceEntry } from '../upload/device-entry.js';
import { isFault } from '../upload/fault.js';
import { openFrame, type UploadedFrame } from '../upload/frame.js';
import { cutsIn } from '../upload/revocation-cuts.js';

/** What the device catalog makes of an account. */
type Arrival = Pick<AccountWrite, 'devices' | 'revokedKeys' | 'deviceCatalogBegun'>;

/** A device as the catalog has it last. */
interface Listed {
  readonly entry: UploadedFrame;
  readonly entryIndex: number;
  /** The frame that shut it out. */
  readonly gone: UploadedFrame | undefined;
  /** Raw keys that died with earlier entries. */
  readonly formerKeys: readonly Uint8Array[];
}

/**
 * Makes this service the one where the account is (R011): what was copied is complete, and the device catalog says from now on
 * who may act. Entries were not judged when they were copied; the current ones are judged now, by the newer profiles.
 *
 * @param fields the account as it is to be from now on.
 * @throws MeshError `copy-incomplete` where a store ends within a batch, or is not there, and where no device of the catalog is
 *   connected at this address.
 */
export async function arrive(
  context: ShardContext,
  transactor: AccountTransactor,
  fields: AccountFields,
): Promise<Arrival> {
  const state: AccountState = { ...(transactor.state as AccountState), ...fields };
  const catalog = requireComplete(state);
  const listed = await replay(transactor, catalog);
  const devices: DeviceRow[] = [];
  const revokedKeys: Uint8Array[] = [];
  const authority = authorityOf(state);
  for (const [deviceUdf, one] of listed) {
    const connection = one.gone === undefined ? await connectionOf(one.entry, authority) : undefined;
    const before = state.devices.get(deviceUdf);
    if (connection !== undefined) devices.push(rowOf(deviceUdf, one.entryIndex, connection, context.clock()));
    else if (before !== undefined) devices.push(shutOut(before, one, context.clock()));
    revokedKeys.push(...one.formerKeys);
    if (one.gone !== undefined) revokedKeys.push(...keysOfDeviceEntry(one.entry.payload, authority));
  }
  if (devices.every(({ revokedAtMs }) => revokedAtMs !== null)) {
    throw new MeshError('copy-incomplete', `no device of ${deviceCatalog} is connected at this address`);
  }
  return { devices, revokedKeys: mortal(revokedKeys, state), deviceCatalogBegun: true };
}

/** The offline key is the Mesh itself; no entry makes it one of a device's. */
const mortal = (keys: readonly Uint8Array[], { meshOfflineKey }: AccountState) =>
  keys.filter((key) => Buffer.compare(key, meshOfflineKey) !== 0);

function requireComplete({ containers }: AccountState): ContainerState {
  const missing = [...accountSpools, deviceCatalog].find((name) => !containers.has(name));
  if (missing !== undefined) throw new MeshError('copy-incomplete', `${missing} is not here yet`);
  const cut = [...containers.values()].find(({ manifestFrom, frameCount }) => manifestFrom < frameCount);
  if (cut !== undefined) throw new MeshError('copy-incomplete', `${cut.name} ends within a batch`);
  return containers.get(deviceCatalog) as ContainerState;
}

function authorityOf(state: AccountState) {
  const { address, accountUdf } = state;
  return { address, accountUdf, accountKeys: accountOnlineKeys(state), meshKeys: adminKeys(state) };
}

/** The catalog's devices, those that were shut out among them. */
async function replay(reader: AccountTransactor, catalog: ContainerState): Promise<ReadonlyMap<string, Listed>> {
  const listed = new Map<string, Listed>();
  const { accountUdf } = reader.state as AccountState;
  const last = catalog.frameCount - 1;
  if (last < 1) return listed;
  for await (const rows of reader.frames(catalog, { from: 1, to: last })) {
    for (const { index, header, payload, trailer } of rows) {
      const frame = opened({ header, payload, trailer });
      const { UniqueID: deviceUdf, Event: event } = frame.meta;
      if (deviceUdf === undefined) continue;
      const before = listed.get(deviceUdf);
      if (event === 'Delete') {
        if (before !== undefined) listed.set(deviceUdf, { ...before, gone: frame });
        continue;
      }
      const died =
        before?.gone === undefined ? [] : keysOfDeviceEntry(before.entry.payload, { accountUdf, meshKeys: [] });
      const formerKeys = [...(before?.formerKeys ?? []), ...died];
      listed.set(deviceUdf, { entry: frame, entryIndex: index, gone: undefined, formerKeys });
    }
  }
  return listed;
}

function opened(octets: EnvelopeOctets): UploadedFrame {
  const frame = openFrame(octets, 0);
  if (isFault(frame)) throw new MeshError('copy-incomplete', `${deviceCatalog} holds an entry that cannot be read`);
  return frame;
}

/** The connection of an entry, if it holds here: an entry that was left behind does not keep the account from coming. */
async function connectionOf(
  entry: UploadedFrame,
  authority: ReturnType<typeof authorityOf>,
): Promise<DeviceConnection | undefined> {
  try {
    const verified = await verifyDeviceEntry(entry, authority);
    return isFault(verified) ? undefined : verified.connection;
  } catch (error) {
    if (isBadInput(error)) return undefined;
    throw error;
  }
}

function rowOf(deviceUdf: string, entryIndex: number, connection: DeviceConnection, nowMs: number): DeviceRow {
  return {
    ...{ deviceUdf, entryIndex, revokedAtMs: null, ticketsFromMs: nowMs, cuts: [] },
    keyAuthentication: connection.keyAuthentication.raw,
    keySignature: connection.keySignature.raw,
    connectionDigest: connection.digest,
    permissions: connection.permissions,
    connectionSigner: connection.signer.raw,
  };
}

function shutOut(before: DeviceRow, { entryIndex, gone }: Listed, nowMs: number): DeviceRow {
  const cuts = gone === undefined ? [] : cutsIn(gone);
  return { ...before, entryIndex, revokedAtMs: before.revokedAtMs ?? nowMs, ticketsFromMs: nowMs, cuts };
}
