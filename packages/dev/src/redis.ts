/** A Redis server of our own. It keeps nothing: what it holds can be made anew from Postgres at any time. */
import { Redis as Client } from 'ioredis';
import type { RedisProgram } from './find-redis.js';
import { freePorts } from './ports.js';
import { type RunningProgram, startProgram } from './program.js';
import { isReachable, makeOwnFolder, serverUser } from './reach.js';
import { waitFor } from './wait.js';

/** What {@link startRedis} needs. */
export interface RedisOptions {
  readonly redis: RedisProgram;
  /** Working folder; nothing is kept in it but the log. */
  readonly folder: string;
  readonly password: string;
  /** Chosen when absent. */
  readonly port?: number;
}

/** A server that runs. */
export interface Redis {
  readonly url: string;
  readonly program: RunningProgram;
  stop(): Promise<void>;
}

const startMsMax = 15_000;
const stopMsMax = 5000;

/**
 * Starts the server.
 *
 * @throws Error with the last lines of its log when it does not start
 */
export async function startRedis(options: RedisOptions): Promise<Redis> {
  const port = options.port ?? ((await freePorts(1))[0] as number);
  const user = serverUser();
  await makeOwnFolder(options.folder, undefined);
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `requirepass ${options.password}`,
    'save ""',
    'appendonly no',
    // jobs must never be dropped to make room: the queue would lose wake-ups without a word
    'maxmemory-policy noeviction',
  ];
  const program = await startProgram({
    name: 'redis',
    command: options.redis.command,
    args: ['-'],
    // on its standard input, so that the password does not show in the list of processes
    input: `${settings.join('\n')}\n`,
    env: options.redis.env,
    cwd: '/',
    logFile: `${options.folder}/redis.log`,
    ...(user !== undefined && (await isReachable(options.redis.command, user)) ? { user } : {}),
  });
  const url = `redis://:${options.password}@127.0.0.1:${port}`;
  try {
    await waitFor(async () => ((await answers(url)) ? true : undefined), {
      what: 'Redis',
      deadlineMs: startMsMax,
      hopeless: () => (program.end === undefined ? undefined : `ended:\n${program.tail()}`),
    });
  } catch (error) {
    await program.stop(stopMsMax);
    throw error;
  }
  return { url, program, stop: async () => void (await program.stop(stopMsMax)) };
}

/** Whether a Redis server lets us in there now. */
export async function answers(url: string): Promise<boolean> {
  const client = new Client(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 3000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}
