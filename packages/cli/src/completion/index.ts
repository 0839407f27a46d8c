/**
 * Completion of command lines in shells, made from the tree of commands itself.
 *
 * - `tree.ts` what a shell needs to know of each command: its sub-commands, options and their values.
 * - `bash.ts`, `zsh.ts`, `fish.ts` the script of each shell: it holds the whole tree, and never runs the program.
 */
export {};
