/**
 * The process that will carry messages to other providers. It starts as it will run: with the identity of its host, with
 * Redis, and with its own health and readiness. It takes no work yet, because nothing can be posted yet.
 *
 * - `config.ts` has its settings;
 * - `compose.ts` builds it from them and takes it apart again; tests start it there;
 * - `main.ts` is the process.
 */
export {};
