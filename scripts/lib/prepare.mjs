/**
 * Brings the working tree into the state in which everything else can start: packages installed, TypeScript compiled.
 * Imports only what Node itself has, because it runs before anything is installed and under whatever Node (20 or later)
 * the machine came with.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pinnedNode, root, runQuietly } from './run.mjs';
import { complain, say, step } from './say.mjs';

const pnpmVersion = '10.34.9';
const marker = join(root, 'node_modules/.meshd-installed');
const lockFolder = join(root, '.meshd-preparing');
/** Nobody installs for longer; a lock older than this was left by a process that was killed. Milliseconds. */
const lockMsMax = 15 * 60_000;

/** Thrown when a step failed; what it printed has been shown already. */
export class PrepareError extends Error {}

/**
 * Installs where something is missing or stale, then compiles what changed.
 *
 * @throws PrepareError
 */
export async function prepare() {
  requireNode();
  await withLock(async () => {
    const wanted = await installState();
    if (!(await isInstalled(wanted))) await install(wanted);
    await build();
  });
}

function requireNode() {
  if (Number(process.versions.node.split('.')[0]) >= 20) return;
  throw new PrepareError(`Node 20 or later is needed to start; this is ${process.version}`);
}

/** Changes whenever what should be installed changes. */
async function installState() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} pnpm ${pnpmVersion}\n`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(await readFile(join(root, file)));
  return hash.digest('hex');
}

async function isInstalled(wanted) {
  const installed = await readFile(marker, 'utf8').catch(() => '');
  if (installed.trim() !== wanted) return false;
  return stat(pinnedNode).then(
    () => true,
    () => false,
  );
}

async function install(wanted) {
  await rm(marker, { force: true });
  const args = ['-y', `pnpm@${pnpmVersion}`, 'install', '--frozen-lockfile', '--reporter=append-only'];
  const { code, output } = await step('Installing packages (the first time takes a minute or two)', () =>
    // CI=true: never ask whether node_modules may be replaced, nobody may be there to answer
    runQuietly('npx', args, { env: { ...process.env, CI: 'true' } }),
  );
  if (code !== 0) fail('npx pnpm install', output);
  await writeFile(marker, `${wanted}\n`);
}

async function build() {
  const { code, output } = await step('Compiling', () => runQuietly(join(root, 'node_modules/.bin/tsc'), ['-b']));
  if (code !== 0) fail('tsc -b', output);
  if (!(await isBundled())) await bundle();
}

const bundled = ['packages/cli', 'services/router', 'services/shard', 'services/outbound'];

/** The compiler touches its record of a package when the package or one below it changed. */
async function isBundled() {
  const changedMs = (file) =>
    stat(join(root, file)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  for (const folder of bundled) {
    const entry = folder === 'packages/cli' ? 'mesh-main.js' : 'main.js';
    const bundleMs = await changedMs(`${folder}/dist/bundle/${entry}`);
    if (bundleMs <= (await changedMs(`${folder}/dist/.tsbuildinfo`))) return false;
  }
  return true;
}

/** Makes a few files of each program that is started often (`rolldown.config.mjs`). */
async function bundle() {
  const args = [join(root, 'node_modules/rolldown/bin/cli.mjs'), '-c', 'rolldown.config.mjs'];
  const { code, output } = await step('Bundling the programs', () => runQuietly(pinnedNode, args));
  if (code !== 0) fail('rolldown', output);
}

function fail(what, output) {
  process.stderr.write(output);
  throw new PrepareError(`${what} failed; its output is above`);
}

/** Two commands in one working tree at a time would install over each other; the second waits. */
async function withLock(work) {
  let told = false;
  while (!(await takeLock())) {
    if (!told) say('Another command is preparing this working tree; waiting for it');
    told = true;
    await sleep(500);
  }
  const leave = () => void rm(lockFolder, { recursive: true, force: true });
  process.once('SIGINT', leave);
  process.once('SIGTERM', leave);
  try {
    return await work();
  } finally {
    process.off('SIGINT', leave);
    process.off('SIGTERM', leave);
    await rm(lockFolder, { recursive: true, force: true });
  }
}

/** Making a folder is atomic: exactly one of two succeeds. */
async function takeLock() {
  try {
    await mkdir(lockFolder);
    await writeFile(join(lockFolder, 'pid'), String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (await lockIsDead()) await rm(lockFolder, { recursive: true, force: true });
  return false;
}

async function lockIsDead() {
  const made = await stat(lockFolder).catch(() => undefined);
  if (made === undefined) return false;
  const ageMs = Date.now() - made.mtimeMs;
  const pid = Number(await readFile(join(lockFolder, 'pid'), 'utf8').catch(() => ''));
  // a folder without a pid is one that is being made just now
  return ageMs > lockMsMax || (pid > 0 && !isAlive(pid)) || (pid === 0 && ageMs > 5000);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs the body of a root command: its number is the exit code, a {@link PrepareError} one line and exit code 1. */
export async function main(body) {
  try {
    process.exitCode = await body();
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    complain(error.message);
    process.exitCode = 1;
  }
}
