/** The slot table as a value: who owns an account, and the message that tells routers. */
import type { SlotMap } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { slotOfName } from '@meshd/schema/address';
import { serviceAddress } from './store.js';

/** One version of the table. */
export interface SlotTable {
  readonly version: number;
  /** Name of the owner, by slot. */
  readonly shards: readonly string[];
  /** Single accounts that live elsewhere than their slot says: owner by canonical address. */
  readonly exceptions: ReadonlyMap<string, string>;
  /** `host:port` by shard, of those that have said where they listen. */
  readonly addresses: ReadonlyMap<string, string>;
}

/**
 * The shard that owns an account; undefined for `@service`, which every shard has one of.
 *
 * @param address canonical
 */
export function shardOfAccount(table: SlotTable, address: string): string | undefined {
  if (address === serviceAddress) return undefined;
  return table.exceptions.get(address) ?? table.shards[slotOfName(address)];
}

/** The table as routers get it: slots as ranges. */
export function slotMapMessage(table: SlotTable): SlotMap {
  const ranges: SlotMap['ranges'] = [];
  for (const [slot, shard] of table.shards.entries()) {
    const last = ranges.at(-1);
    if (last?.shard === shard) last.last = slot;
    else ranges.push({ first: slot, last: slot, shard });
  }
  return {
    ...{ version: table.version, ranges },
    exceptions: [...table.exceptions].map(([account, shard]) => ({ account, shard })),
    shards: [...table.addresses].map(([shard, address]) => ({ shard, address })),
  };
}
