/** Deletes what has expired, a bounded number of rows at a time, so that writers never wait long. */
import { publicationWithdrawnMs } from '@meshd/limits/hailing';
import { largeSweepFilesMax, largeSweepRowsMax } from '@meshd/limits/large';
import { clockSkewMsMax, messageSeenMs, requestSeenMs, sweepAccountsMax, sweepRowsMax } from '@meshd/limits/limits';
import type { Statement } from './database.js';
import * as account from './sql/account.js';
import { deleteOffersBefore, deleteWithdrawnBefore } from './sql/hailing.js';
import { freeSlices, selectEndedLarge } from './sql/large.js';
import { deleteMessageSeenBefore } from './sql/message.js';
import { deleteSeenBefore } from './sql/request-seen.js';

/** Runs statements in one transaction under the lease and tells the rows each affected. */
export type SweepTransaction = (statements: readonly Statement[]) => Promise<number[]>;

async function repeat(run: SweepTransaction, statement: Statement): Promise<void> {
  for (;;) {
    const [count = 0] = await run([statement]);
    if (count < sweepRowsMax) return;
  }
}

/** Frees large files that are over, and those of accounts that are. */
async function sweepLarge(
  run: SweepTransaction,
  select: (statement: Statement) => Promise<number[]>,
  nowMs: number,
): Promise<void> {
  for (;;) {
    const ids = await select(selectEndedLarge(nowMs, largeSweepFilesMax));
    for (let left = ids.length > 0; left; ) {
      const [, count = 0] = await run(freeSlices(ids, largeSweepRowsMax));
      left = count === largeSweepRowsMax;
    }
    if (ids.length < largeSweepFilesMax) return;
  }
}

/**
 * One pass.
 *
 * @param select asks for numbers of rows: of accounts whose stores may go, of files that are over
 * @throws StorageError
 */
export async function sweepOnce(
  run: SweepTransaction,
  select: (statement: Statement) => Promise<number[]>,
  nowMs: number,
): Promise<void> {
  // an identity says when it was made; it was stored at most the clock skew later and is kept for its time from then
  await repeat(run, deleteSeenBefore(nowMs - clockSkewMsMax - requestSeenMs, sweepRowsMax));
  await repeat(run, deleteMessageSeenBefore(nowMs - messageSeenMs, sweepRowsMax));
  await repeat(run, deleteOffersBefore(nowMs, sweepRowsMax));
  await repeat(run, deleteWithdrawnBefore(nowMs - publicationWithdrawnMs, sweepRowsMax));
  await run([account.releaseNames(nowMs)]);
  // before the accounts: nothing of one that goes may be left
  await sweepLarge(run, select, nowMs);
  for (;;) {
    const ids = await select(account.selectPurgeable(nowMs, sweepAccountsMax));
    for (const id of ids) {
      await repeat(run, account.purgeFrames(id, sweepRowsMax));
      await repeat(run, account.purgeKeys(id, sweepRowsMax));
      await run(account.purgeAccount(id));
    }
    if (ids.length < sweepAccountsMax) return;
  }
}
