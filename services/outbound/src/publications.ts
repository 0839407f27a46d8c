/**
 * Takes what accounts publish to the shards that serve it (semantics 7.6): the shard of an account says what has changed, the
 * slot of the identifier says where it goes, and only then the first one forgets it. What a worker leaves half done another
 * one does again.
 */
import { publicationLeaseMs, publicationsLeasedMax } from '@meshd/limits/hailing';
import type { Publication } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { Shards } from './shards.js';

/** What {@link handOverPublications} needs. */
export interface HandOverOptions {
  readonly shards: Pick<Shards, 'ask' | 'tell' | 'shardOf'>;
  /** Told of each; `refused`: another account publishes under that identifier. */
  readonly onHandedOver: (result: 'served' | 'withdrawn' | 'refused') => void;
  /** Told of each that has to be tried again. */
  readonly onFailed: (error: unknown) => void;
}

/**
 * Hands over what one shard has, as far as its places can be reached.
 *
 * @returns how many were handed over
 * @throws RpcError, MeshError where the shard itself cannot be asked
 */
export async function handOverPublications(options: HandOverOptions, shard: string): Promise<number> {
  const value = { publicationsMax: publicationsLeasedMax, leaseMs: publicationLeaseMs };
  const { publications } = await options.shards.ask(shard, { $case: 'leasePublications', value }, 'leasePublications');
  const done = (await Promise.all(publications.map((each) => handOver(options, each)))).filter(
    (each) => each !== undefined,
  );
  if (done.length === 0) return 0;
  const settled = done.map((each): Publication => ({ ...each, payload: undefined }));
  await options.shards.tell(shard, { $case: 'settlePublications', value: { publications: settled } });
  return done.length;
}

async function handOver(
  { shards, onHandedOver, onFailed }: HandOverOptions,
  publication: Publication,
): Promise<Publication | undefined> {
  try {
    const place = shards.shardOf(publication.identifier);
    if (place === undefined) throw new Error('no shard has the slot of a publication');
    const { taken } = await shards.ask(place, { $case: 'putPublication', value: { publication } }, 'putPublication');
    onHandedOver(taken ? (publication.payload === undefined ? 'withdrawn' : 'served') : 'refused');
    return publication;
  } catch (error) {
    onFailed(error);
    return undefined;
  }
}
