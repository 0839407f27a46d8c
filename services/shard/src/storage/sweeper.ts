/** Deletes what has expired, a bounded number of rows at a time, so that writers never wait long. */
import { clockSkewMsMax, messageSeenMs, requestSeenMs, sweepRowsMax } from '@meshd/limits/limits';
import type { Statement } from './database.js';
import * as account from './sql/account.js';
import { deleteMessageSeenBefore } from './sql/message.js';
import { deleteSeenBefore } from './sql/request-seen.js';

/** Runs statements in one transaction under the lease and tells the rows each affected. */
export type SweepTransaction = (statements: readonly Statement[]) => Promise<number[]>;

const accountsAtOnceMax = 16;

async function repeat(run: SweepTransaction, statement: Statement): Promise<void> {
  for (;;) {
    const [count = 0] = await run([statement]);
    if (count < sweepRowsMax) return;
  }
}

/**
 * One pass.
 *
 * @param purgeable asks for accounts whose stores may go
 * @throws StorageError
 */
export async function sweepOnce(
  run: SweepTransaction,
  purgeable: (statement: Statement) => Promise<number[]>,
  nowMs: number,
): Promise<void> {
  // an identity says when it was made; it was stored at most the clock skew later and is kept for its time from then
  await repeat(run, deleteSeenBefore(nowMs - clockSkewMsMax - requestSeenMs, sweepRowsMax));
  await repeat(run, deleteMessageSeenBefore(nowMs - messageSeenMs, sweepRowsMax));
  await run([account.releaseNames(nowMs)]);
  for (;;) {
    const ids = await purgeable(account.selectPurgeable(nowMs, accountsAtOnceMax));
    for (const id of ids) {
      await repeat(run, account.purgeFrames(id, sweepRowsMax));
      await repeat(run, account.purgeKeys(id, sweepRowsMax));
      await run(account.purgeAccount(id));
    }
    if (ids.length < accountsAtOnceMax) return;
  }
}
