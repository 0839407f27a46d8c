/**
 * Starts a whole provider on one machine, for people (`npm start`) and for tests.
 *
 * - Backends: `backends.ts` chooses between addresses given, servers of our own (`postgres.ts`, `redis.ts` with
 *   `find-redis.ts`) and Docker (`docker.ts`, `containers.ts`); `databases.ts` makes and removes databases.
 * - What a provider needs in files: `certificates.ts`, `service-keys.ts`, laid out as `layout.ts` says.
 * - The services: `service-settings.ts` has their settings; `provider-processes.ts` runs each as a process of its own,
 *   `test-provider.ts` all of them inside a test's process.
 * - For people: `start.ts` is the program behind `npm start`, `admin-aggregate.ts` its one address for health and figures.
 * - `demo.ts` is the program behind `npm run demo`: `demo-stage.ts` starts two providers and a DNS server, `demo-script.ts` has
 *   the steps, `demo-people.ts` types the commands, `demo-voice.ts` says how it looks.
 * - `dns-server.ts`: a DNS server, by which providers on one machine find one another; `dns-zone.ts` says what it answers.
 * - Small things: `program.ts` (a program beside us), `watchdog.ts` (ends it when we are killed), `ownership.ts` (one
 *   provider a data folder), `process-mark.ts`, `ports.ts`, `reach.ts`, `wait.ts`, `config.ts`.
 *
 * Nothing here is part of a provider in production.
 */
export {};
