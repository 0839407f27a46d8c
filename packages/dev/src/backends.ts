/**
 * Chooses where Postgres and Redis come from, and starts them where they are ours to start.
 *
 * For a provider: addresses from the settings, else servers of our own, else Docker. For tests: addresses, else Docker
 * through testcontainers (each run its own, removed even when the run is killed), else servers of our own. Where nothing
 * is to be had the error says in one sentence what to install.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { canConnect } from './databases.js';
import { dockerAnswers, images, runContainer } from './docker.js';
import { findRedis } from './find-redis.js';
import { startPostgres } from './postgres.js';
import type { RunningProgram } from './program.js';
import { answers, startRedis } from './redis.js';
import { waitFor } from './wait.js';

/** One backend, ready to be used. */
export interface Backend {
  /** For Postgres the maintenance database, as a user who may make databases. */
  readonly url: string;
  /** Where it came from, for people. */
  readonly source: string;
  /** The program behind it; absent when somebody else runs it. */
  readonly program?: RunningProgram;
  stop(): Promise<void>;
}

/** Both. */
export interface Backends {
  readonly postgres: Backend;
  readonly redis: Backend;
  stop(): Promise<void>;
}

/** What the choosers need. */
export interface BackendOptions {
  readonly postgresUrl?: string | undefined;
  readonly redisUrl?: string | undefined;
  /** Folder for the cluster, reachable for the user that Postgres runs as. */
  readonly postgresFolder: string;
  /** Folder for Redis's log, and for logs of containers. */
  readonly logFolder: string;
  /** Folder for downloaded programs. */
  readonly cache: string;
  /** The same at every start of the same data. */
  readonly passwords: { readonly postgres: string; readonly redis: string };
  /** Name of the volume in which a container keeps Postgres's data. */
  readonly volume: string;
  /** Settings of a Postgres server of our own, as `name=value`. */
  readonly postgresSettings?: readonly string[];
  readonly say: (text: string) => void;
}

/** A backend cannot be had; the message is one sentence for people. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
}

const noStop = async (): Promise<void> => {};
const containerMsMax = 180_000;

/** Backends of a provider that people start. @throws BackendError */
export async function startBackends(options: BackendOptions): Promise<Backends> {
  return together(
    () => givenPostgres(options) ?? ownPostgres(options),
    () => givenRedis(options) ?? ownRedis(options),
  );
}

/** Backends of a test run. @throws BackendError */
export async function startTestBackends(options: BackendOptions): Promise<Backends> {
  const needed = options.postgresUrl === undefined || options.redisUrl === undefined;
  const containers = needed && (await dockerAnswers()) ? await import('./containers.js') : undefined;
  return together(
    () => givenPostgres(options) ?? either(containers?.postgresContainer, () => ownPostgres(options), options.say),
    () => givenRedis(options) ?? either(containers?.redisContainer, () => ownRedis(options), options.say),
  );
}

/** A container where there is an engine; an engine that cannot fetch the image is no reason to give up. */
async function either(
  container: (() => Promise<Backend>) | undefined,
  own: () => Promise<Backend>,
  say: (text: string) => void,
): Promise<Backend> {
  if (container === undefined) return own();
  try {
    return await container();
  } catch (error) {
    say(`Docker does not start it: ${(error as Error).message}`);
    return own();
  }
}

/** Both at the same time; if one fails the other is not left behind. */
async function together(postgres: () => Promise<Backend>, redis: () => Promise<Backend>): Promise<Backends> {
  const [first, second] = await Promise.allSettled([postgres(), redis()]);
  if (first.status === 'fulfilled' && second.status === 'fulfilled') {
    const stop = async () => void (await Promise.all([first.value.stop(), second.value.stop()]));
    return { postgres: first.value, redis: second.value, stop };
  }
  for (const result of [first, second]) if (result.status === 'fulfilled') await result.value.stop();
  throw first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason;
}

function givenPostgres({ postgresUrl }: BackendOptions): Promise<Backend> | undefined {
  if (postgresUrl === undefined) return undefined;
  return given(postgresUrl, 'MESHD_POSTGRES_URL', canConnect);
}

function givenRedis({ redisUrl }: BackendOptions): Promise<Backend> | undefined {
  if (redisUrl === undefined) return undefined;
  return given(redisUrl, 'MESHD_REDIS_URL', answers);
}

async function given(url: string, setting: string, works: (url: string) => Promise<boolean>): Promise<Backend> {
  if (!(await works(url))) throw new BackendError(`Nothing usable answers at the address in ${setting}.`);
  return { url, source: setting, stop: noStop };
}

async function ownPostgres(options: BackendOptions): Promise<Backend> {
  try {
    const { postgresFolder: folder, passwords, postgresSettings: settings = [] } = options;
    const server = await startPostgres({ folder, password: passwords.postgres, settings });
    return { url: server.adminUrl, source: 'Postgres of the npm package', program: server.program, stop: server.stop };
  } catch (error) {
    options.say(`Postgres of the npm package does not run here: ${(error as Error).message}`);
  }
  return (await dockerPostgres(options)) ?? missing('Postgres', 'MESHD_POSTGRES_URL');
}

async function ownRedis(options: BackendOptions): Promise<Backend> {
  const redis = await findRedis({ cache: join(options.cache, 'redis'), say: options.say });
  if (redis === undefined) return (await dockerRedis(options)) ?? missing('Redis', 'MESHD_REDIS_URL');
  const folder = options.logFolder;
  const server = await startRedis({ redis, folder, password: options.passwords.redis });
  return { url: server.url, source: redis.source, program: server.program, stop: server.stop };
}

function missing(what: string, setting: string): never {
  const program = what === 'Redis' ? 'redis-server' : 'postgresql';
  throw new BackendError(
    `No ${what} can be had here: install ${program} (Debian: apt-get install ${program}) or Docker, or set ${setting} to the address of a server.`,
  );
}

async function dockerPostgres(options: BackendOptions): Promise<Backend | undefined> {
  if (!(await dockerAnswers())) return undefined;
  const password = options.passwords.postgres;
  const { program, port } = await container(options, 'postgres', {
    image: images.postgres,
    port: 5432,
    environment: { POSTGRES_PASSWORD: password },
    volume: `${options.volume}:/var/lib/postgresql`,
  });
  return ready(program, 'Docker', `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`, canConnect);
}

async function dockerRedis(options: BackendOptions): Promise<Backend | undefined> {
  if (!(await dockerAnswers())) return undefined;
  const password = options.passwords.redis;
  const command = ['sh', '-c', 'exec redis-server --save "" --requirepass "$REDIS_PASSWORD"'];
  const { program, port } = await container(options, 'redis', {
    image: images.redis,
    port: 6379,
    environment: { REDIS_PASSWORD: password },
    command,
  });
  return ready(program, 'Docker', `redis://:${password}@127.0.0.1:${port}`, answers);
}

type ContainerShape = Omit<Parameters<typeof runContainer>[0], 'name' | 'logFile'>;

async function container(options: BackendOptions, name: string, shape: ContainerShape) {
  options.say(`Starting ${name} in Docker`);
  await mkdir(options.logFolder, { recursive: true });
  return runContainer({ ...shape, name, logFile: join(options.logFolder, `${name}.log`) });
}

async function ready(
  program: RunningProgram,
  source: string,
  url: string,
  works: (url: string) => Promise<boolean>,
): Promise<Backend> {
  const stop = async () => void (await program.stop(20_000, 'SIGINT'));
  await waitFor(async () => ((await works(url)) ? true : undefined), {
    what: `${program.name} in Docker`,
    deadlineMs: containerMsMax,
    hopeless: () => (program.end === undefined ? undefined : `ended:\n${program.tail()}`),
  });
  return { url, source, program, stop };
}
