/**
 * A copy of the slot map, as routers and outbound workers keep one: which shard owns an account (design: 4,096 slots, and
 * single accounts elsewhere).
 */
import { slotCount, slotOfName } from '@meshd/schema/address';
import type { SlotMap } from './generated/meshd/shard/v1/shard.js';

/** A shard and where its rpc listener is. */
export interface ShardPlace {
  readonly shard: string;
  /** `host:port`. */
  readonly address: string;
}

/** One version of the map, ready for look-ups. Never changed: a new version is a new object. */
export class SlotMapCopy {
  readonly version: number;
  readonly places: readonly ShardPlace[];
  /** Position in `places` by slot; −1 where the map says nothing. */
  readonly #ofSlot = new Int16Array(slotCount).fill(-1);
  readonly #ofAccount = new Map<string, number>();

  constructor(map: SlotMap) {
    this.version = map.version;
    this.places = map.shards.map(({ shard, address }) => ({ shard, address }));
    const position = new Map(this.places.map(({ shard }, at) => [shard, at]));
    for (const { first, last, shard } of map.ranges) this.#ofSlot.fill(position.get(shard) ?? -1, first, last + 1);
    for (const { account, shard } of map.exceptions) this.#ofAccount.set(account, position.get(shard) ?? -1);
  }

  /**
   * The shard of an account or a publication; undefined where the map has none.
   *
   * @param account canonical address, or identifier
   */
  placeOf(account: string): ShardPlace | undefined {
    const at = this.#ofAccount.get(account) ?? this.#ofSlot[slotOfName(account)] ?? -1;
    return this.places[at];
  }

  /** Whether every slot has a shard. */
  get isComplete(): boolean {
    return this.#ofSlot.every((at) => at >= 0);
  }
}
