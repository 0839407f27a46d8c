/**
 * The command lines: `mesh` for people and scripts, `mesh-admin` for operators.
 *
 * `bin/*.mjs` are committed launchers. `program.ts` builds the tree of commands and owns the flags that all share
 * (`--json`, `--home`), exit codes and the one line of an error. A module in `commands/` registers one group and does its
 * I/O through `command-io.ts` alone, so that a command can be tested with an `io` of the test's own.
 */
export {};
