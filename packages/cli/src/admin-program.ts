/** `mesh-admin`: what an operator does beside the running processes. */
import { registerAdminAccountCommands } from './commands/admin-account.js';
import { registerAdminDatabaseCommands } from './commands/admin-database.js';
import { registerAdminQueueCommands } from './commands/admin-queue.js';
import { registerAdminServiceCommands } from './commands/admin-service.js';
import type { ProgramShape } from './program.js';

/** The operator's program. */
export const meshAdminShape: ProgramShape = {
  name: 'mesh-admin',
  description:
    'Operate a Mesh service provider: its keys, its databases, its accounts, and the messages that it sends.',
  hasHome: false,
  register(program, io) {
    registerAdminServiceCommands(program, io);
    registerAdminDatabaseCommands(program, io);
    registerAdminQueueCommands(program, io);
    registerAdminAccountCommands(program, io);
  },
};
