/** `npm start [-- --domain D --port P --data DIR]`: prepares the working tree and runs a whole provider from it. */
import { join } from 'node:path';
import { main, prepare } from './lib/prepare.mjs';
import { pinnedNode, root, runVisibly } from './lib/run.mjs';

await main(async () => {
  await prepare();
  const program = join(root, 'packages/dev/dist/start.js');
  // paths on the command line are meant from where the person stands
  return runVisibly(pinnedNode, [program, ...process.argv.slice(2)], { cwd: process.env.INIT_CWD ?? process.cwd() });
});
