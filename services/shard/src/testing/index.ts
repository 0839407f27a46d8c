/**
 * For the tests of this service alone: a person with a Mesh, an account and a device (`person.ts`), and a store that keeps
 * everything in memory (`memory-store.ts`), so that transactions are tested without a database. `bulk-load.ts` makes long
 * containers in a real one.
 */
export {};
