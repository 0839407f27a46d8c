import { meshAdminShape } from './admin-program.js';
import { runProgram } from './program.js';

process.exitCode = await runProgram(meshAdminShape, process.argv.slice(2), { debug: process.env.MESH_DEBUG === '1' });
