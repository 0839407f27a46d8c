/** Reads what an address stands for from the database. */
import type { AddressState } from './apply-write.js';
import { type Queryable, rowsOf } from './database.js';
import { type AccountSelectRow, fieldsOfRow, selectAccount, selectRevokedKeys } from './sql/account.js';
import { type ConnectionSelectRow, connectionOfRow, selectConnections } from './sql/connection-request.js';
import { type ContainerSelectRow, containerOfRow, selectContainers } from './sql/container.js';
import { type DeviceSelectRow, deviceOfRow, selectDevices } from './sql/device.js';
import { keyText } from './store.js';

/** Runs `work` on one connection, whose statements all see the same moment. */
export type Snapshot = <T>(work: (on: Queryable) => Promise<T>) => Promise<T>;

/**
 * Loads an account with everything that is kept of it in memory.
 *
 * @throws StorageError
 */
export function loadAccount(snapshot: Snapshot, address: string): Promise<AddressState> {
  return snapshot(async (on) => {
    const [row] = await rowsOf<AccountSelectRow>(on, selectAccount(address));
    const name = { quarantinedUntilMs: row?.[1] ?? null };
    // No account has the number 0: for a name that nobody has the same is asked, and nothing is found (S80).
    const id = row?.[0] ?? 0;
    const containers = (await rowsOf<ContainerSelectRow>(on, selectContainers(id))).map(containerOfRow);
    const devices = (await rowsOf<DeviceSelectRow>(on, selectDevices(id))).map(deviceOfRow);
    const connections = (await rowsOf<ConnectionSelectRow>(on, selectConnections(id))).map(connectionOfRow);
    const revoked = await rowsOf<[Buffer]>(on, selectRevokedKeys(id));
    if (row === undefined || id === 0) return { state: undefined, name };
    const state = {
      ...fieldsOfRow(row),
      ...{ id, address, createdAtMs: row[2], deviceCatalogBegun: row[3] },
      containers: new Map(containers.map((container) => [container.name, container])),
      devices: new Map(devices.map((device) => [device.deviceUdf, device])),
      connections: new Map(connections.map((request) => [request.deviceUdf, request])),
      revokedKeys: new Set(revoked.map(([key]) => keyText(key))),
      bytesUsed: containers.reduce((sum, container) => sum + container.bytesUsed, 0),
      frameCount: containers.reduce((sum, container) => sum + container.frameCount, 0),
    };
    return { state, name };
  });
}
