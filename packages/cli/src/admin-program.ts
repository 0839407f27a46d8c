/** `mesh-admin`: what an operator does beside the running processes. */
import { registerAdminDatabaseCommands } from './commands/admin-database.js';
import { registerAdminServiceCommands } from './commands/admin-service.js';
import type { ProgramShape } from './program.js';

/** The operator's program. */
export const meshAdminShape: ProgramShape = {
  name: 'mesh-admin',
  description: 'Operate a Mesh service provider: its keys and its databases.',
  hasHome: false,
  register(program, io) {
    registerAdminServiceCommands(program, io);
    registerAdminDatabaseCommands(program, io);
  },
};
