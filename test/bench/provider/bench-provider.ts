/**
 * What the figures with a database share: Postgres and Redis, a provider of real processes (router, two shards, outbound
 * worker), the program that makes the load, and the bare one that is the limit.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBackends } from '@meshd/dev/backends';
import { cacheFolder, readBackendSettings } from '@meshd/dev/config';
import { dropDatabases, ensureDatabases } from '@meshd/dev/databases';
import { freePorts } from '@meshd/dev/ports';
import { startPostgres } from '@meshd/dev/postgres';
import { databaseNames, planProvider } from '@meshd/dev/provider-plan';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { removeAtEnd } from '@meshd/dev/watchdog';
import { wellKnownPath } from '@meshd/schema/features';
import { migrateShard } from '@meshd/shard/storage/migrate';
import pg from 'pg';
import { type Child, startChild } from './child.ts';
import type { LimitCalls } from './limit-program.ts';
import type { LoadCalls } from './load-program.ts';
import type { Target } from './post-socket.ts';

/** The accounts that upload one frame at a time, each over a socket of its own. */
export const accountCount = 64;

/** Everything that runs. */
export interface BenchProvider {
  /** The provider's Mesh service. */
  readonly target: Target;
  /** A path of the limit. */
  limitTarget(path: string): Target;
  readonly load: Child<LoadCalls>;
  readonly limit: Child<LimitCalls>;
  /** Database of the limit: the same tables, no triggers. */
  readonly limitDatabaseUrl: string;
  readonly shardDatabaseUrls: readonly string[];
  /** The processes and how they were set up, for figures that stop one or go round the router. */
  readonly processes: ProviderProcesses;
  readonly caFile: string;
  /** A folder that is removed at the end. */
  readonly folder: string;
  readonly adminUrls: readonly { readonly name: string; readonly url: string }[];
  /** Writes everything down that is still to be written, so that a run does not pay for the one before it. */
  settle(): Promise<void>;
}

/** What all providers of the bench stand on. */
export interface BenchBackends {
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** A folder that is removed at the end. */
  readonly folder: string;
}

const domain = 'mesh.localhost';
const shardCount = 2;
/** Room for all runs: Postgres then never stops to make a segment, and never checkpoints by itself. */
const walSettings = ['max_wal_size=16GB', 'min_wal_size=1GB', 'checkpoint_timeout=1h', 'wal_compression=off'];
const walBytesMade = 1024 * 1024 * 1024;

let shared: Promise<BenchProvider> | undefined;
let sharedBackends: Promise<BenchBackends> | undefined;
const undo: (() => Promise<unknown>)[] = [];

/** Starts everything at the first call. */
export function benchProvider(): Promise<BenchProvider> {
  shared ??= start();
  return shared;
}

/** Postgres, Redis and a folder; started at the first call. */
export function benchBackends(): Promise<BenchBackends> {
  sharedBackends ??= startBase();
  return sharedBackends;
}

/** Has something undone at the end, before what was there when it was started. */
export function undoAtEnd(step: () => Promise<unknown>): void {
  undo.push(step);
}

/** Has Postgres write everything down, so that a run does not pay for the one before it. */
export async function checkpoint(): Promise<void> {
  await onServer((await benchBackends()).postgresUrl, ['CHECKPOINT']);
}

/** Stops what was started, and removes it. */
export async function stopBenchProvider(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step().catch((error) => console.error(error));
}

export const say = (text: string): void => console.error(`· ${text}`);

async function startBase(): Promise<BenchBackends> {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-bench-'));
  // Also when the bench is cut off: the processes end with it, and then the folder goes.
  removeAtEnd(folder);
  undo.push(() => rm(folder, { recursive: true, force: true }));
  // Postgres may run as another user than ourselves, who must get to its cluster below.
  await chmod(folder, 0o755);
  return { ...(await backends(folder)), folder };
}

async function start(): Promise<BenchProvider> {
  const { postgresUrl, redisUrl, folder } = await benchBackends();
  const databasePrefix = `bench_${randomBytes(4).toString('hex')}`;
  const limitName = `${databasePrefix}_limit`;
  undo.push(() => dropDatabases(postgresUrl, [...databaseNames(databasePrefix, shardCount), limitName]));
  const plan = await planProvider({
    domains: [domain],
    port: (await freePorts(1))[0] as number,
    registration: 'open',
    serviceFolder: join(folder, 'service'),
    tlsFolder: join(folder, 'tls'),
    postgresUrl,
    redisUrl,
    databasePrefix,
    shardCount,
    logLevel: 'info',
    nowMs: Date.now(),
  });
  const { caFile, server } = plan.certificates;
  const files = [readText(caFile), readText(server.certFile), readText(server.keyFile)] as const;
  const [ca, certificate, key] = await Promise.all(files);
  say('Starting router, two shards and outbound worker');
  const processes = new ProviderProcesses(plan, join(folder, 'logs'));
  await processes.start();
  undo.push(() => processes.stop());
  processes.onUnexpectedEnd = (name, _end, tail) => say(`${name} ended:\n${tail}`);
  const load = startChild<LoadCalls>('./load-program.ts');
  undo.push(() => load.stop());
  const limit = startChild<LimitCalls>('./limit-program.ts');
  undo.push(() => limit.stop());
  const limitPort = await limit.call('listen', { certificate, key });
  const target = { port: plan.port, domain, path: wellKnownPath, ca };
  await load.call('use', { url: processes.url, domain, ca, folder: await made(join(folder, 'homes')) });
  say(`Making ${accountCount} accounts`);
  await load.call('open', { accounts: accountCount, target });
  return {
    target,
    limitTarget: (path) => ({ ...target, port: limitPort, path }),
    load,
    limit,
    limitDatabaseUrl: await limitDatabase(postgresUrl, limitName),
    shardDatabaseUrls: plan.shards.map((shard) => shard.postgresUrl),
    processes,
    caFile,
    folder,
    adminUrls: processes.adminUrls,
    settle: checkpoint,
  };
}

const readText = (file: string): Promise<string> => readFile(file, 'utf8');

async function made(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Addresses given in the environment, else servers of our own with the settings that a measurement needs. */
async function backends(folder: string): Promise<{ postgresUrl: string; redisUrl: string }> {
  say('Starting Postgres and Redis');
  const given = readBackendSettings();
  const passwords = { postgres: randomBytes(16).toString('hex'), redis: randomBytes(16).toString('hex') };
  let { postgresUrl } = given;
  if (postgresUrl === undefined) {
    const server = await startPostgres({
      folder: await made(join(folder, 'postgres')),
      password: passwords.postgres,
      settings: walSettings,
    });
    undo.push(() => server.stop());
    postgresUrl = server.adminUrl;
  }
  const both = await startBackends({
    ...{ ...given, postgresUrl, passwords, say, volume: 'meshd-bench', cache: cacheFolder },
    postgresFolder: folder,
    logFolder: await made(join(folder, 'logs')),
  });
  undo.push(() => both.stop());
  say('Making the write-ahead log beforehand');
  await onServer(postgresUrl, [makeWal, 'CHECKPOINT', 'CHECKPOINT']);
  return { postgresUrl, redisUrl: both.redis.url };
}

/** Fills segments with messages that nobody reads; the checkpoints after it keep them for use. */
const makeWal = `SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1048576)))
  FROM generate_series(1, ${walBytesMade / 1048576})`;

async function onServer(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The limit's own database: tables as the shards have them, without what they do when written to. */
async function limitDatabase(postgresUrl: string, name: string): Promise<string> {
  const [url] = await ensureDatabases(postgresUrl, [name]);
  await migrateShard(url as string);
  await onServer(url as string, ['ALTER TABLE frame DISABLE TRIGGER USER']);
  return url as string;
}
