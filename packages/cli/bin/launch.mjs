/**
 * Starts a program from the few files into which it is bundled: node needs 0.1 s to read those, and four times as long
 * for the 300 modules that they were made of. After `tsc -b` alone the bundle is older than the modules, and those run.
 * The launchers are committed because pnpm links a bin only where the file exists at install, before `dist/` does.
 */
import { existsSync, statSync } from 'node:fs';

const built = (file) => new URL(`../dist/${file}`, import.meta.url);

function isFresh(bundle) {
  const [made, compiled] = [bundle, built('.tsbuildinfo')].map((file) => statSync(file, { throwIfNoEntry: false }));
  return made !== undefined && (compiled === undefined || made.mtimeMs >= compiled.mtimeMs);
}

/** Runs the program whose entry module is `<name>-main`. */
export async function launch(name) {
  const [bundle, modules] = [built(`bundle/${name}-main.js`), built(`${name}-main.js`)];
  if (!existsSync(modules)) {
    process.stderr.write(`${name}: not built yet; run npm run setup in the repository root first\n`);
    process.exit(1);
  }
  await import(isFresh(bundle) ? bundle : modules);
}
