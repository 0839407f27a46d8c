/** The linter, as `npm run lint` and `npm test` call it: formatting, lint, and the types of what is not compiled. */
import { join } from 'node:path';
import { root, runVisibly } from './run.mjs';

/** @returns {Promise<number>} 0 when nothing was found */
export async function lint() {
  const colours = process.stdout.isTTY === true ? [] : ['--colors=off'];
  const bin = (name) => join(root, 'node_modules/.bin', name);
  const style = await runVisibly(bin('biome'), ['ci', '--error-on-warnings', ...colours, '.']);
  // Packages and services are checked where they are compiled; the tests that cross them never are.
  const types = await runVisibly(bin('tsc'), ['-p', join(root, 'test')]);
  return style || types;
}
