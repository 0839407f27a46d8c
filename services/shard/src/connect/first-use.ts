import type { Caller } from '../authorise.js';
import type { ShardContext } from '../context.js';
import type { ConnectionChange } from '../storage/connection-rows.js';

/*
 * When a device acts under its new keys for the first time, its request has done its work: from now on its base key, which
 * its manufacturer may know, opens nothing any more (S55). Costs a look into a map that is empty nearly always.
 */

/**
 * What a caller's request changes by being made. A connected device that asks to be connected anew has an entry from before:
 * it goes on acting under that.
 */
export function firstUseOf({ state, device }: Pick<Caller, 'state' | 'device'>): readonly ConnectionChange[] {
  if (device === undefined || state.connections.size === 0) return [];
  const row = state.connections.get(device.deviceUdf);
  return row === undefined || device.entryIndex < row.catalogFrom ? [] : [{ remove: device.deviceUdf }];
}

/** Notes the first use by a request that writes nothing else. */
export async function noteFirstUse({ store }: Pick<ShardContext, 'store'>, caller: Caller): Promise<void> {
  if (firstUseOf(caller).length === 0) return;
  const { device, state } = caller;
  await store.transactAccount(state.address, async (transactor) => {
    // Somebody else may have noted it, or changed the account, meanwhile.
    const now = transactor.state;
    const listed = now?.devices.get(device?.deviceUdf ?? '');
    const connections = now === undefined ? [] : firstUseOf({ state: now, device: listed });
    if (connections.length > 0) await transactor.commit({ connections });
  });
}
