import { RpcError } from '@meshd/rpc/errors';
import type { Publication } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { describe, expect, it } from 'vitest';
import { type HandOverOptions, handOverPublications } from './publications.js';

type Asked = { readonly $case: string; readonly value: { readonly publication?: Publication } };

/** Two shards, of which `from` has publications, and what each was told. */
function shardsWith(publications: readonly Publication[], answer: (asked: Publication) => boolean) {
  const log: string[] = [];
  const settled: Publication[] = [];
  const shards = {
    shardOf: (identifier: string) => (identifier === 'NOWHERE' ? undefined : `shard of ${identifier}`),
    ask: async (shard: string, { $case, value }: Asked) => {
      if ($case === 'leasePublications') return { publications };
      log.push(`${shard}: ${value.publication?.payload ?? 'withdrawn'}`);
      return { taken: answer(value.publication as Publication) };
    },
    tell: async (_shard: string, { value }: { readonly value: { readonly publications: Publication[] } }) => {
      settled.push(...value.publications);
    },
  } as unknown as HandOverOptions['shards'];
  const results: string[] = [];
  const failures: unknown[] = [];
  const run = () =>
    handOverPublications(
      { shards, onHandedOver: (result) => results.push(result), onFailed: (error) => failures.push(error) },
      'from',
    );
  return { run, log, settled, results, failures };
}

const publication = (identifier: string, payload?: string): Publication => {
  return {
    identifier,
    account: 'a@example.com',
    version: 7,
    payload: payload === undefined ? undefined : Buffer.from(payload),
  };
};

describe('publications on their way', () => {
  it('[R153] go to the shard that has the slot of the identifier, and are forgotten once they are there', async () => {
    const taken = shardsWith([publication('A', 'octets'), publication('B')], () => true);
    expect(await taken.run()).toBe(2);
    expect(taken.log.sort()).toEqual(['shard of A: octets', 'shard of B: withdrawn']);
    expect(taken.results.sort()).toEqual(['served', 'withdrawn']);
    expect(taken.settled).toEqual([publication('A'), publication('B')]);
  });

  it('are over where another account was first', async () => {
    const refused = shardsWith([publication('A', 'octets')], () => false);
    expect(await refused.run()).toBe(1);
    expect([refused.results, refused.settled.length]).toEqual([['refused'], 1]);
  });

  it('stay where they are while their place cannot be reached, and keep no others from theirs', async () => {
    const half = shardsWith(
      [publication('A', 'octets'), publication('B', 'octets'), publication('NOWHERE')],
      (asked) => {
        if (asked.identifier === 'A') throw new RpcError('unavailable', 'gone');
        return true;
      },
    );
    expect(await half.run()).toBe(1);
    expect(half.settled.map(({ identifier }) => identifier)).toEqual(['B']);
    expect(half.failures).toHaveLength(2);
  });
});
