/**
 * `mesh-source`: an account that sends messages at a rate and tells what became of each.
 *
 * `source.ts` sends: open loop, so that a slow provider is seen as slow and not as a source that sends less. `fates.ts` waits
 * for the marks by which the provider tells how messages ended. `program.ts` is the command.
 */
export {};
