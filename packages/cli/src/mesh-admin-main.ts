import { meshAdminShape } from './admin-program.js';
import { readDebug } from './environment.js';
import { runProgram } from './program.js';

process.exitCode = await runProgram(meshAdminShape, process.argv.slice(2), { debug: readDebug() });
