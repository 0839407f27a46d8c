/**
 * The shard's storage: the only code that speaks SQL.
 *
 * `store.ts` holds the types that the transactions are written against, `errors.ts` the ways in which they fail;
 * `open-store.ts` puts together what is behind them:
 *
 * - reading: `account-cache.ts` keeps what addresses stand for (`load-account.ts` reads it), `lookups.ts` gathers
 *   look-ups of single keys, `frames.ts` reads frames in bounded chunks and compares their digests.
 *   `account-watches.ts` tells who wants to know of commits.
 * - writing: `mutex.ts` lets one writer of an account in at a time, `apply-write.ts` turns its write into rows and the
 *   state after it, `coalescer.ts` puts rows of many writers into one transaction, `writer.ts` runs it.
 * - `lease.ts` holds the right to write, `sweeper.ts` deletes what has expired, `migrate.ts` makes the tables,
 *   `single-transactions.ts` is for what is apart
 *   from the queue, `database.ts` holds the settings of connections. The statements stand in `sql/`.
 */
export {};
