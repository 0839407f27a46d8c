/**
 * The shard's storage: the only code that speaks SQL.
 *
 * `store.ts` holds the types that the transactions are written against; `errors.ts` the ways in which they fail.
 */
export {};
