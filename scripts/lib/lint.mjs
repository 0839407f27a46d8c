/** The linter, as `npm run lint` and `npm test` call it. */
import { join } from 'node:path';
import { root, runVisibly } from './run.mjs';

/** @returns {Promise<number>} exit code of the linter */
export function lint() {
  const colours = process.stdout.isTTY === true ? [] : ['--colors=off'];
  return runVisibly(join(root, 'node_modules/.bin/biome'), ['ci', '--error-on-warnings', ...colours, '.']);
}
