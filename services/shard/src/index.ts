/**
 * The shard: owns accounts, devices and containers, and is the only process that talks to its database.
 *
 * A request comes in through `handlers.ts` (which account is whose, deadlines, answers, figures; `rpc-messages.ts`,
 * `outcome.ts` and `watch-map.ts` beside it) and is done by one module of `transactions/`. These ask
 *
 * - `authorise.ts`, with `account-keys.ts` and `permissions.ts`: who may act for an account, and who may sign what;
 * - `account-policy.ts`: who may have which name;
 * - `connect/`: devices that ask to be connected;
 * - `upload/`: whether a batch breaks a rule, as pure functions;
 * - `signed-request.ts`: requests whose signatures the shard verifies itself;
 * - `service-frames.ts` and `service-records.ts`: what the service writes, signed with the host's key;
 * - `heads.ts` and `status-waits.ts`: the signed heads of an account, and requests that wait for a change of it;
 * - `peer-pins.ts`: what other services are pinned to, and what may follow;
 * - `large-answers.ts`, `publication-answers.ts`: large data, and what accounts publish, over the rpc;
 * - `stored-answer.ts`: answers that repetitions get;
 * - `frame-parts.ts`: how much of a frame a download sends;
 * - `erasing.ts`: bodies of deleted entries go, behind the back of the requests; `regularly.ts`: what is done each minute;
 * - `storage/`: everything that is kept.
 *
 * `compose.ts` puts the process together, `main.ts` runs it, `config.ts` has its settings. `testing/` is for tests.
 */
export {};
