import { outboxLanesListedMax } from '@meshd/limits/outbox';
import type { ListWork, ListWorkResult } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { describe, expect, it } from 'vitest';
import type { Shards } from './shards.js';
import { type DueLane, sweepShard } from './sweeper.js';

/** A shard that has lanes, and lists so many of them at once. */
function shardWith(lanes: ListWorkResult['lanes'], pageSize: number) {
  const asked: ListWork[] = [];
  const ask = async (_shard: string, transaction: { readonly value: ListWork }): Promise<ListWorkResult> => {
    const { afterDomain, afterLane } = transaction.value;
    asked.push(transaction.value);
    const from = lanes.findIndex(({ domain, lane }) => domain === afterDomain && lane === afterLane) + 1;
    return { lanes: lanes.slice(from, from + pageSize), more: from + pageSize < lanes.length };
  };
  return { asked, shards: { ask } as unknown as Pick<Shards, 'ask'> };
}

async function sweep(shards: Pick<Shards, 'ask'>): Promise<{ count: number; added: DueLane[] }> {
  const added: DueLane[] = [];
  const count = await sweepShard(shards, 'shard-0', async (lanes) => void added.push(...lanes));
  return { count, added };
}

describe('the sweeper', () => {
  it('[R169] wakes every lane that has messages, page by page, each at its time', async () => {
    const lanes = Array.from({ length: 7 }, (_, lane) => ({ domain: 'beta.test', lane, dueMs: lane * 1000 }));
    const { shards, asked } = shardWith(lanes, 3);
    expect(await sweep(shards)).toEqual({ count: 7, added: lanes.map((each) => ({ shard: 'shard-0', ...each })) });
    expect(asked.map(({ afterLane }) => afterLane)).toEqual([0, 2, 5]);
    expect(asked.every(({ lanesMax }) => lanesMax === outboxLanesListedMax)).toBe(true);
  });

  it('has nothing to do where nothing waits', async () => {
    const { shards, asked } = shardWith([], 3);
    expect(await sweep(shards)).toEqual({ count: 0, added: [] });
    expect(asked).toHaveLength(1);
  });
});
