/**
 * Makes wake-ups again from what the outbox holds (design 3.3): Redis may have been emptied, or a shard could not reach it.
 * Lanes that have their job keep it; one that waits for a later time than the outbox says is brought forward.
 */
import { outboxLanesListedMax } from '@meshd/limits/outbox';
import type { Lane } from '@meshd/rpc/delivery-jobs';
import type { Shards } from './shards.js';

/** A lane and when it is due, Unix time in milliseconds. */
export interface DueLane extends Lane {
  readonly dueMs: number;
}

/**
 * Goes through the outbox of one shard.
 *
 * @param add takes one page of lanes
 * @returns lanes with messages
 * @throws RpcError, MeshError
 */
export async function sweepShard(
  shards: Pick<Shards, 'ask'>,
  shard: string,
  add: (lanes: readonly DueLane[]) => Promise<void>,
): Promise<number> {
  let after = { afterDomain: '', afterLane: 0 };
  for (let count = 0; ; ) {
    const value = { ...after, lanesMax: outboxLanesListedMax };
    const { lanes, more } = await shards.ask(shard, { $case: 'listWork', value }, 'listWork');
    await add(lanes.map(({ domain, lane, dueMs }) => ({ shard, domain, lane, dueMs })));
    count += lanes.length;
    const last = lanes.at(-1);
    if (!more || last === undefined) return count;
    after = { afterDomain: last.domain, afterLane: last.lane };
  }
}
