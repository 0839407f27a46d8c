/**
 * `npm test`: prepares the working tree, lints it and runs every test. What tests need of Postgres and Redis, the test
 * runner's own set-up (test/global-setup.ts) finds or starts. The last line says `N passed, N failed`.
 *
 * Arguments go to vitest: `npm test -- packages/dare` runs a part.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from './lib/lint.mjs';
import { main, prepare } from './lib/prepare.mjs';
import { pinnedNode, root, runVisibly, toolEnvironment } from './lib/run.mjs';
import { complain, say } from './lib/say.mjs';

/** Runs vitest and reads what the counting reporter wrote; a run that wrote nothing counts as one failure. */
async function runTests(args) {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-test-'));
  const countFile = join(folder, 'count.json');
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts/lib/count-reporter.mjs')}`];
  try {
    const code = await runVisibly(
      pinnedNode,
      [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...args],
      { env: { ...toolEnvironment(), TEST_COUNT_FILE: countFile } },
    );
    const nothing = { passed: 0, failed: 1, failedNames: ['the test run itself'], skippedNames: [] };
    const counted = await readFile(countFile, 'utf8').then(JSON.parse, () => nothing);
    if (code !== 0 && counted.failed === 0) counted.failed = 1;
    return counted;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main(async () => {
  await prepare();
  say('Linting');
  const lintFailed = (await lint()) !== 0;
  say('Running the tests');
  const { passed, failed: testsFailed, failedNames, skippedNames } = await runTests(process.argv.slice(2));
  for (const name of skippedNames) console.log(`skipped: ${name}`);
  for (const name of failedNames) console.log(`failed: ${name}`);
  if (lintFailed) complain('the linter found something; see above');
  const failed = testsFailed + (lintFailed ? 1 : 0);
  const skipped = skippedNames.length > 0 ? `, ${skippedNames.length} skipped` : '';
  console.log(`${passed} passed, ${failed} failed${skipped}`);
  return failed === 0 ? 0 : 1;
});
