import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, by far: begun last, one of these would keep everybody waiting alone. */
const longest = [
  'test/federation/beneath-providers.test.ts',
  'test/story/story.test.ts',
  'test/messages-large/processes.test.ts',
  'test/startup/demo.test.ts',
  'test/startup/npm-start.test.ts',
  'test/cuts/cuts.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => longest.some((path) => moduleId.endsWith(path));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/**
 * One configuration for every test of the project. Tests stand beside the code (`src`); what crosses packages lies in
 * `test/`. Compiled copies in `dist` are not run a second time.
 */
export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'services/*/src/**/*.test.ts',
      'deploy/src/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/dist/**'],
    globalSetup: ['test/global-setup.ts', 'test/federation/stage.ts'],
    // Far more than any test needs: what hangs is found, and a machine with other work is given its time.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    // Modules are loaded once a worker and not once a file: files share nothing but what is imported, and leave nothing.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // Every file may start a whole provider, and many wait for time to pass: one more at a time than a small machine has
    // cores.
    maxWorkers: 3,
  },
});
