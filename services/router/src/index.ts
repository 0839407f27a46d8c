/**
 * The router speaks Mesh to the world and knows no SQL.
 *
 * `listener.ts` takes TLS connections and tells services apart; `exchange.ts` takes one request from octets to answer,
 * with `body-reader.ts`, `octet-budget.ts`, `source-limits.ts` and `seen-requests.ts` as its bounds and `respond.ts` as its
 * mouth, `ticket-desk.ts` opens and issues tickets and page keys, `requester-limits.ts` holds back who asks too much, and
 * `peers.ts` knows which hosts speak for other services; `transactions/` has one file a transaction; `publications.ts` serves what accounts
 * publish. `shard-router.ts` finds the shard of an account by the slot map and talks to it through a `shard-link.ts`. `compose.ts` puts all together, `main.ts` runs it.
 */
export {};
