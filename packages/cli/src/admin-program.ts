/** `mesh-admin`: what an operator does beside the running processes. */
import type { Command } from 'commander';
import type { CommandIo } from './command-io.js';
import type { ProgramShape } from './program.js';

/** The operator's program. */
export const meshAdminShape: ProgramShape = {
  name: 'mesh-admin',
  description: 'Operate a Mesh service provider: its keys and certificates, its databases.',
  register(_program: Command, _io: CommandIo) {},
};
