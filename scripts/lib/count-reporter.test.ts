import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import CountReporter from './count-reporter.mjs';

let folder: string;
const kept = process.env.TEST_COUNT_FILE;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-count-'));
  process.env.TEST_COUNT_FILE = join(folder, 'count.json');
});
afterEach(async () => {
  process.env.TEST_COUNT_FILE = kept;
  await rm(folder, { recursive: true });
});

const test = (fullName: string, state: string) => ({ fullName, result: () => ({ state }) });
const module = (name: string, tests: unknown[], errors: unknown[] = []) => ({
  moduleId: join(process.cwd(), name),
  errors: () => errors,
  children: { allTests: () => tests },
});

it('counts tests, files that could not be loaded, and stray errors', async () => {
  const modules = [
    module('a.test.ts', [test('works', 'passed'), test('breaks', 'failed'), test('waits', 'skipped')]),
    module('b.test.ts', [], [new Error('no such module')]),
  ];
  new CountReporter().onTestRunEnd(modules, [new Error('stray')]);
  expect(JSON.parse(await readFile(process.env.TEST_COUNT_FILE as string, 'utf8'))).toEqual({
    passed: 1,
    failed: 3,
    failedNames: ['a.test.ts: breaks', 'b.test.ts', 'an error outside of any test: stray'],
    skippedNames: ['a.test.ts: waits'],
  });
});
