/** `npm run demo`: prepares the working tree and plays messages between two providers on this machine. */
import { join } from 'node:path';
import { main, prepare } from './lib/prepare.mjs';
import { pinnedNode, root, runVisibly } from './lib/run.mjs';

await main(async () => {
  await prepare();
  return runVisibly(pinnedNode, [join(root, 'packages/dev/dist/demo.js'), ...process.argv.slice(2)]);
});
