/**
 * What every process of the provider needs around its own work, and nothing of that work:
 *
 * - `config.ts` reads the settings out of the environment, once, into a typed and checked value;
 * - `setting.ts` has the kinds of values that settings take (addresses, lists, files, secrets);
 * - `admin.ts` is the listener for health, readiness and figures;
 * - `tally.ts` counts what others can cause at will, so that it is told once in a while;
 * - `collector.ts` says how the engine is to collect memory, whose bounds are made for other programs;
 * - `run.ts` starts the process, listens for the signals that stop it, and bounds how long stopping may take.
 *
 * A service's `main.ts` is one call of `runMain`; its `compose.ts` gets what that prepared and can be started by a test.
 */
export {};
