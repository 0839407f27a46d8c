import { readDebug } from './environment.js';
import { meshShape, runProgram } from './program.js';

process.exitCode = await runProgram(meshShape, process.argv.slice(2), { debug: readDebug() });
