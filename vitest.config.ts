import { defineConfig } from 'vitest/config';

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
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Modules are loaded once a worker and not once a file: files share nothing but what is imported, and leave nothing.
    isolate: false,
    // Every file may start a whole provider, and many wait for time to pass: one more at a time than a small machine has
    // cores.
    maxWorkers: 3,
  },
});
