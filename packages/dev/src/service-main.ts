import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const changedMs = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/**
 * The file to give node for one of the services: all of it in one file (rolldown.config.mjs), which starts in half the
 * time, or its modules where the compiler has touched them since.
 */
export function serviceMain(service: 'router' | 'shard' | 'outbound'): string {
  // Not import.meta.resolve, which the module runner has not in which the set-up of tests runs.
  const modules = createRequire(import.meta.url).resolve(`@meshd/${service}/main`);
  const folder = dirname(modules);
  const bundle = join(folder, 'bundle/main.js');
  return changedMs(bundle) > changedMs(join(folder, '.tsbuildinfo')) ? bundle : modules;
}
