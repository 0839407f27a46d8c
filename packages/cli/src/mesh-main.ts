import { meshShape, runProgram } from './program.js';

process.exitCode = await runProgram(meshShape, process.argv.slice(2), { debug: process.env.MESH_DEBUG === '1' });
