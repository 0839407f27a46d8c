/** `mesh dare`: commands on files, without an account. */
import type { Command } from 'commander';
import type { CommandIo } from '../command-io.js';

/** Adds the group to the program. */
export function registerDareCommands(_program: Command, _io: CommandIo): void {}
