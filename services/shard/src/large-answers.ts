import type { StoreLarge, TransactRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { TransactAnswer } from '@meshd/rpc/shard-server';
import type { ShardContext } from './context.js';
import { principalOf } from './rpc-messages.js';
import { fetchLarge } from './transactions/fetch-large.js';
import { type LargeStep, storeLarge } from './transactions/store-large.js';

/* Large data over the rpc, in the terms of its two transactions and back. */

type Transaction = NonNullable<TransactRequest['transaction']>;

/**
 * Answers a transaction about large data; undefined for any other.
 *
 * @throws MeshError, StorageError
 */
export async function answerLarge(
  context: ShardContext,
  transaction: Transaction,
): Promise<{ readonly result: TransactAnswer['result'] } | undefined> {
  switch (transaction.$case) {
    case 'storeLarge': {
      const { principal, identifier, step } = transaction.value;
      const asked = { principal: principalOf(principal), identifier, step: stepOf(step) };
      const { files, room } = await storeLarge(context, asked);
      const told = files.map(({ expiresAtMs: expiresMs, ...file }) => ({ ...file, expiresMs }));
      return { result: { $case: 'storeLarge', value: { files: told, ...room } } };
    }
    case 'fetchLarge': {
      const { bytesTotal, data } = await fetchLarge(context, transaction.value);
      return { result: { $case: 'fetchLarge', value: { bytesTotal, data } } };
    }
    default:
      return undefined;
  }
}

function stepOf(step: StoreLarge['step']): LargeStep {
  switch (step?.$case) {
    case 'begin':
      return { kind: 'begin', ...step.value };
    case 'slice':
      return { kind: 'slice', ...step.value };
    case 'withdraw':
      return { kind: 'withdraw' };
    default:
      return { kind: 'look' };
  }
}
