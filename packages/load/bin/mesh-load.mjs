#!/usr/bin/env node
// A committed launcher: pnpm links a bin only where the file exists at install, and dist/ does not exist then.
let program;
let load;
try {
  program = await import('@meshd/cli/program');
  load = await import('../dist/program.js');
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write('mesh-load: not built yet; run npm run setup in the repository root first\n');
  process.exit(1);
}
process.exitCode = await program.runProgram(load.meshLoadShape, process.argv.slice(2), {
  debug: process.env.MESH_DEBUG === '1',
});
