/**
 * The shard's storage: the only code that speaks SQL.
 *
 * `store.ts` holds the types that the transactions are written against, `errors.ts` the ways in which they fail;
 * `open-store.ts` puts together what is behind them (options in
 * `store-options.ts`):
 *
 * - reading: `reader.ts` looks at one account, `account-cache.ts` keeps what addresses stand for (`load-account.ts` reads
 *   it), `account-watches.ts` tells of commits those who wait for them, `lookups.ts` gathers look-ups of single keys,
 *   `frames.ts` reads frames in bounded chunks and compares their digests (`binary-copy.ts`: as octets, not as text).
 * - writing: `mutex.ts` lets one writer of an account in at a time, `apply-write.ts` turns its write into rows and the
 *   state after it, `coalescer.ts` puts rows of many writers into one transaction, `writer.ts` runs it.
 * - `lease.ts` holds the right to write, `sweeper.ts` deletes what has expired, `migrate.ts` makes the tables,
 *   `database.ts` holds the settings of connections, `sessions.ts` those that are not for writing, `row-numbers.ts` gives
 *   numbers to new rows.
 * - `outbox.ts` leases messages that wait to be sent (`outbox-store.ts`: its types).
 * - `large.ts` keeps large files in slices until they are fetched (`large-store.ts`: its types).
 * - `publications.ts` hands on what accounts publish, and keeps what is served here (`hailing-store.ts`: its types, and those
 *   of offers that wait for devices).
 * - `directory.ts` keeps a copy of the slot table (`slot-table.ts`), which lives in a database of its own; `peers.ts` has what
 *   other services are pinned to, in the same.
 *
 * The statements stand in `sql/`.
 */
export {};
