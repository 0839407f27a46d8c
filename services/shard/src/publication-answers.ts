import { publicationBytesMax, publicationLeaseMs, publicationsLeasedMax } from '@meshd/limits/hailing';
import type { Publication, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { TransactAnswer } from '@meshd/rpc/shard-server';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from './context.js';
import { required } from './rpc-messages.js';
import type { PublicationState } from './storage/hailing-store.js';

/*
 * Publications over the rpc (semantics 7.6). The shard of an account tells an outbound worker what has changed; the worker
 * takes it to the shard of the identifier, which serves it to routers; then the first one is told that it may forget. A
 * worker that dies in between is followed by another one, and doing it twice changes nothing.
 */

type Transaction = NonNullable<TransactRequest['transaction']>;

/**
 * Answers a transaction about publications; undefined for any other.
 *
 * @throws MeshError `not-found`, `too-large`; StorageError
 */
export async function answerPublications(
  { store: { publications } }: ShardContext,
  transaction: Transaction,
): Promise<{ readonly result: TransactAnswer['result'] } | undefined> {
  switch (transaction.$case) {
    case 'leasePublications': {
      const { publicationsMax, leaseMs } = transaction.value;
      const countMax = Math.min(publicationsMax, publicationsLeasedMax);
      const states = await publications.lease(countMax, Math.min(leaseMs, 2 * publicationLeaseMs));
      return { result: { $case: 'leasePublications', value: { publications: states.map(rpcPublication) } } };
    }
    case 'settlePublications':
      await publications.settle(transaction.value.publications.slice(0, publicationsLeasedMax).map(stateOf));
      return { result: undefined };
    case 'putPublication': {
      const state = stateOf(required(transaction.value.publication, 'publication'));
      if ((state.payload?.length ?? 0) > publicationBytesMax) throw new MeshError('too-large', 'publication');
      return { result: { $case: 'putPublication', value: { taken: await publications.put(state) } } };
    }
    case 'fetchPublication': {
      const payload = await publications.find(transaction.value.identifier);
      if (payload === undefined) throw new MeshError('not-found');
      return { result: { $case: 'fetchPublication', value: { payload: Buffer.from(payload) } } };
    }
    default:
      return undefined;
  }
}

function stateOf({ identifier, account, version, payload }: Publication): PublicationState {
  return { identifier, account, changedAtMs: version, payload };
}

function rpcPublication({ identifier, account, changedAtMs, payload }: PublicationState): Publication {
  return { identifier, account, version: changedAtMs, payload: payload && Buffer.from(payload) };
}
