/**
 * The process that carries messages to other services, and between accounts of this one (design 6).
 *
 * Postgres is the ledger and BullMQ the wake-up. A job names a lane: a shard, a destination, and a share of its recipients.
 * `queue.ts` takes jobs, `lane-turn.ts` does what one wants: lease rows of the outbox, arrange them (`arrange.ts`), carry
 * them, settle. `lines.ts` says how many Posts at a time a destination gets, by `controller.ts`, and how large, by
 * `post-size.ts`. `sweeper.ts` makes lost wake-ups again.
 *
 * Carrying: `carrier.ts` is what there is to it, `post-carrier.ts` goes to other services (`peers.ts`, `peer-pins.ts`), and
 * `local-carrier.ts` to our own shards; `outcome.ts` says what an answer means, `receipt.ts` whether a receipt proves
 * anything. A carrier reschedules nothing, and what schedules opens no socket. `peer-fetcher.ts` finds out which keys other
 * services have, and `publications.ts` takes what accounts publish to the shards that serve it.
 *
 * `shards.ts` and `outbox.ts` talk to shards; `worker.ts` puts all this together, counts and logs; `compose.ts` builds the
 * process from its settings (`config.ts`), `main.ts` is the process.
 */
export {};
