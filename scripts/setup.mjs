/** `npm run setup`: everything that must be there before anything runs (packages, compiled code), and nothing else. */
import { main, prepare } from './lib/prepare.mjs';

await main(async () => {
  await prepare();
  return 0;
});
