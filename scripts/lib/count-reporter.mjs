/**
 * A vitest reporter that counts, for the closing line of `npm test`. It writes what it counted to a file, because the
 * runner's own reporters print after it and the closing line must be the last.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counted = { passed: 0, failed: unhandledErrors.length, failedNames: [], skippedNames: [] };
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      // a file that could not even be loaded has no tests that could fail
      if (module.errors().length > 0) {
        counted.failed += 1;
        counted.failedNames.push(file);
      }
      for (const test of module.children.allTests()) {
        const name = `${file}: ${test.fullName}`;
        const { state } = test.result();
        if (state === 'passed') counted.passed += 1;
        else if (state === 'failed') {
          counted.failed += 1;
          counted.failedNames.push(name);
        } else counted.skippedNames.push(name);
      }
    }
    for (const error of unhandledErrors) counted.failedNames.push(`an error outside of any test: ${error.message}`);
    writeFileSync(process.env.TEST_COUNT_FILE, JSON.stringify(counted));
  }
}
