/** `npm run lint`: formatting and lint of the whole tree, nothing changed. */
import { lint } from './lib/lint.mjs';
import { main, prepare } from './lib/prepare.mjs';

await main(async () => {
  await prepare();
  return lint();
});
