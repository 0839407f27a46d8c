/** `npm run bench`: the figures of the project, one JSON line each on standard output; arguments choose some of them. */
import { join } from 'node:path';
import { main, prepare } from './lib/prepare.mjs';
import { pinnedNode, root, runVisibly } from './lib/run.mjs';

await main(async () => {
  await prepare();
  return runVisibly(pinnedNode, [join(root, 'test/bench/main.ts'), ...process.argv.slice(2)]);
});
