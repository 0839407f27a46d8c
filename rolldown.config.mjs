import { defineConfig } from 'rolldown';

/**
 * The programs that are started often, each as a few files instead of hundreds of modules: node spends most of the time
 * before a program's first line on finding and reading those. What runs a program takes its modules where they are newer
 * than its bundle, which is so after `tsc -b` alone (packages/cli/bin/launch.mjs, packages/dev/src/service-main.ts).
 * Without source maps: reading them takes longer than they save, and what is bundled stays readable.
 */
const program = (folder, inputs, external) => ({
  input: inputs.map((input) => `${folder}/dist/${input}.js`),
  platform: 'node',
  external,
  output: { dir: `${folder}/dist/bundle`, format: 'esm', cleanDir: true },
  // Packages look for faster add-ons of their own and go on without.
  logLevel: 'silent',
});

export default defineConfig([
  // The shard finds its SQL files beside itself, and is loaded by the commands that need it alone.
  program('packages/cli', ['mesh-main', 'mesh-admin-main'], [/^@meshd\/shard\//]),
  ...['router', 'shard', 'outbound'].map((service) => program(`services/${service}`, ['main'], [])),
]);
