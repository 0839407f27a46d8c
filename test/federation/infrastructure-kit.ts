/**
 * Two providers, alpha.test and beta.test, each with all its processes, and handles on what is under them: Redis, Postgres,
 * single processes, and the lines between them. Alpha has Redis, and where a test wants it Postgres, of its own.
 *
 * People speak to the providers by base URLs and the client library, as on any other provider. What they are told is
 * checked there too (`expectDelivered`); databases are looked into only to know the moment at which something is to fail.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '@meshd/dev/config';
import { findRedis } from '@meshd/dev/find-redis';
import { freePorts } from '@meshd/dev/ports';
import { startPostgres } from '@meshd/dev/postgres';
import type { RunningProgram } from '@meshd/dev/program';
import { ProviderProcesses } from '@meshd/dev/provider-processes';
import { startRedis } from '@meshd/dev/redis';
import type { ProviderPlan } from '@meshd/dev/service-settings';
import { makeTestPlan } from '@meshd/dev/test-provider';
import { removeAtEnd } from '@meshd/dev/watchdog';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { Gate } from './gate.js';
import { Person } from './person.js';

/** A server that can be stopped and started again with the same address. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** One provider. */
export interface Provider {
  readonly domain: string;
  /** Where devices come. */
  readonly url: string;
  readonly processes: ProviderProcesses;
  /** Where other services come in. */
  readonly door: Gate;
  /** Between the shard and those who ask it: router and outbound worker. */
  readonly shardDoor: Gate;
  /** Starts another outbound worker, as large providers have. */
  secondWorker(): Promise<void>;
  /** Rows of its shard's database. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Both, and what is under alpha. */
export interface Infrastructure {
  readonly alpha: Provider;
  readonly beta: Provider;
  /** Alpha's alone. */
  readonly redis: Server & { flush(): Promise<void> };
  /** Alpha's alone. */
  readonly postgres: Server;
  readonly alice: Person;
  readonly bob: Person;
  /** Another person with an account, who lets alice and bob write. */
  person(name: string, provider: Provider): Promise<Person>;
  stop(): Promise<void>;
}

/** Name of the only shard of each. */
export const shard = 'shard-0';
const domains = ['alpha.test', 'beta.test'] as const;
/** What a test waits for at most: a rest after a failure, a sweep of the worker, and a slow machine. */
export const patience = { timeout: 90_000, interval: 100 };
/** For tests and for what goes before them. */
export const testMs = 240_000;
/** Before a process that ended by itself is started again. */
const restartMs = 250;
/** A domain at which nothing listens. */
export const nowhere = 'nowhere.test';

let shared: Promise<Infrastructure> | undefined;
let users = 0;

/**
 * Both providers for the scenes of a file, which it shares with all others of the run; called at the top of the file.
 *
 * @param prepare what the file needs besides, once they run
 * @returns what tells of them, from the first scene on
 */
export function sharedProviders(
  prepare: (made: Infrastructure) => Promise<void> = async () => {},
): () => Infrastructure {
  let made: Infrastructure | undefined;
  beforeAll(async () => {
    made = await startInfrastructure();
    await prepare(made);
  }, testMs);
  afterAll(() => made?.stop(), testMs);
  return () => {
    if (made === undefined) throw new Error('the providers are there when the scenes begin');
    return made;
  };
}

/** All of it, started for the first who asks and stopped by the last who stops it. */
async function startInfrastructure(): Promise<Infrastructure> {
  users += 1;
  shared ??= startAll();
  const made = await shared;
  const stop = async (): Promise<void> => {
    users -= 1;
    if (users === 0) await made.stop();
  };
  return { ...made, stop };
}

/** Starts all of it; alice is at alpha, bob at beta, and each has written to the other. */
async function startAll(): Promise<Infrastructure> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'meshd-federation-'));
    removeAtEnd(folder);
    undo.push(() => rm(folder, { recursive: true, force: true }));
    // Postgres may run as another user than ourselves, who must get to its cluster.
    await chmod(folder, 0o755);
    const redis = await ownRedis(folder, undo);
    const postgres = await ownPostgres(folder, undo);
    const own = { redisUrl: redis.url, postgresUrl: postgres.url };
    const plans = await Promise.all(
      domains.map(async (domain, at) => {
        const made = await makeTestPlan({ domains: [domain], shardCount: 1, ...(at === 0 ? { backends: own } : {}) });
        undo.push(made.remove);
        return made.plan;
      }),
    );
    const [alpha, beta] = (await startBoth(plans, folder, undo)) as [Provider, Provider];
    const acquaintances = domains.map((domain, at) => `${['alice', 'bob'][at]}@${domain}`);
    const person = async (name: string, provider: Provider): Promise<Person> => {
      const address = `${name}@${provider.domain}`;
      const { url, processes } = provider;
      const ca = await readFile(processes.plan.certificates.caFile, 'utf8');
      return Person.join(join(folder, address), { address, url, ca }, acquaintances);
    };
    const [alice, bob] = (await Promise.all([person('alice', alpha), person('bob', beta)])) as [Person, Person];
    const made = { alpha, beta, redis, postgres, alice, bob, person, stop };
    await getAcquainted(made);
    return made;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ownRedis(folder: string, undo: (() => Promise<unknown>)[]): Promise<Infrastructure['redis']> {
  const redis = await findRedis({ cache: join(cacheFolder, 'redis'), say: () => undefined });
  if (redis === undefined) throw new Error('these tests need a Redis program on this machine');
  const [port = 0] = await freePorts(1);
  const options = { redis, folder: join(folder, 'redis'), password: randomBytes(16).toString('hex'), port };
  let running = await startRedis(options);
  undo.push(() => running.stop());
  return {
    url: running.url,
    stop: () => running.stop(),
    start: async () => {
      running = await startRedis(options);
    },
    flush: async () => {
      const client = new Redis(running.url);
      await client.flushall();
      await client.quit();
    },
  };
}

async function ownPostgres(folder: string, undo: (() => Promise<unknown>)[]): Promise<Server> {
  const [port = 0] = await freePorts(1);
  const options = { folder: join(folder, 'postgres'), password: randomBytes(16).toString('hex'), port };
  let running = await startPostgres(options);
  undo.push(() => running.stop());
  return {
    url: running.adminUrl,
    stop: () => running.stop(),
    start: async () => {
      running = await startPostgres(options);
    },
  };
}

async function startBoth(
  plans: readonly ProviderPlan[],
  folder: string,
  undo: (() => Promise<unknown>)[],
): Promise<Provider[]> {
  const ports = await freePorts(plans.length);
  const gate = async (port: number): Promise<Gate> => {
    const opened = await Gate.start(port);
    undo.push(() => opened.stop());
    return opened;
  };
  const doors = await Promise.all(ports.map(gate));
  const shardDoors = await Promise.all(plans.map(({ shards }) => gate(shards[0]?.rpcPort as number)));
  const authorities = await Promise.all(plans.map(({ certificates }) => readFile(certificates.caFile, 'utf8')));
  const peerCaFile = join(folder, 'ca.crt');
  await writeFile(peerCaFile, authorities.join('\n'));
  const places = [...domains.map((domain, at) => `${domain}=127.0.0.1:${doors[at]?.port}`), `${nowhere}=127.0.0.1:1`];
  return Promise.all(
    plans.map(async (plan, at) => {
      const shardAddress = `127.0.0.1:${shardDoors[at]?.port}`;
      const peers = { MESHD_DISCOVERY_OVERRIDES: places.join(','), MESHD_PEER_CA_FILE: peerCaFile };
      const settings = {
        [shard]: { MESHD_RPC_ADVERTISE: shardAddress },
        outbound: { MESHD_SHARDS: shardAddress, ...peers },
        router: { MESHD_SHARDS: shardAddress },
      };
      const logs = join(folder, `logs-${at}`);
      const processes = new ProviderProcesses({ ...plan, port: ports[at] as number }, logs, { settings });
      undo.push(() => processes.stop());
      await processes.start();
      // As whatever runs them in production does.
      processes.onUnexpectedEnd = (name) => void sleep(restartMs).then(() => processes.startOne(name).catch(() => {}));
      const secondWorker = async (): Promise<void> => {
        const [outboundAdminPort = 0] = await freePorts(1);
        const second = new ProviderProcesses({ ...plan, outboundAdminPort }, join(logs, 'second'), { settings });
        undo.push(() => second.stop());
        await mkdir(join(logs, 'second'));
        await second.startOne('outbound');
      };
      const query = queryOf(plan.shards[0]?.postgresUrl as string);
      const [door, shardDoor] = [doors[at] as Gate, shardDoors[at] as Gate];
      return { domain: domains[at] as string, url: processes.url, processes, door, shardDoor, secondWorker, query };
    }),
  );
}

/** A connection for each question: servers come and go. */
function queryOf(connectionString: string): Provider['query'] {
  return async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
    const client = new pg.Client({ connectionString });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  };
}

/** Services that meet for the first time find out each other's keys first; tests begin after that. */
async function getAcquainted({ alice, bob }: Pick<Infrastructure, 'alice' | 'bob'>): Promise<void> {
  const [there, back] = await Promise.all([alice.send(bob), bob.send(alice)]);
  await expectDelivered(alice, bob, [there]);
  await expectDelivered(bob, alice, [back]);
}

/**
 * Everything that was sent arrives once and in order, and its sender learns it with a receipt. What had arrived before may
 * stand between.
 */
export async function expectDelivered(from: Person, to: Person, ids: readonly string[]): Promise<void> {
  await expectResults(
    from,
    ids,
    ids.map(() => 'delivered with receipt'),
  );
  expect((await to.inbound()).filter((id) => ids.includes(id))).toEqual(ids);
}

/** The sender learns of each message what became of it. */
export async function expectResults(from: Person, ids: readonly string[], results: readonly string[]): Promise<void> {
  await vi.waitFor(async () => expect(await from.resultsOf(ids)).toEqual(results), patience);
}

/** A message that waits, as the outbox has it. */
export interface WaitingRow {
  readonly message_id: string;
  readonly recipient: string;
  readonly attempts: number;
  readonly lease_owner: string | null;
}

/** Messages that wait at a provider, oldest first. */
export function waiting({ query }: Provider): Promise<WaitingRow[]> {
  return query<WaitingRow>('SELECT message_id, recipient, attempts, lease_owner FROM outbox ORDER BY id');
}

/** Waits until the outbox is as it is to be. */
export async function untilWaiting(provider: Provider, is: (rows: readonly WaitingRow[]) => boolean): Promise<void> {
  await vi.waitFor(async () => expect(await waiting(provider)).toSatisfy(is), patience);
}

/** How many frames the containers of a name have, all accounts together. */
export async function frameCount({ query }: Provider, container: string): Promise<number> {
  const text = 'SELECT sum(frame_count) AS count FROM container WHERE name = $1';
  const [row] = await query<{ count: string | null }>(text, [container]);
  return Number(row?.count ?? 0);
}

/** Begins something, and comes back when containers of a name have more frames than before. */
export async function untilFiled(
  provider: Provider,
  container: string,
  begin: () => Promise<unknown> | unknown,
): Promise<void> {
  const before = await frameCount(provider, container);
  await begin();
  await vi.waitFor(async () => expect(await frameCount(provider, container)).toBeGreaterThan(before), patience);
}

/**
 * Kills a provider's shard when it has committed something and not answered yet: whoever asked waits in vain. Then starts it
 * again.
 *
 * @param write the table that is written, and the container in which a frame shows that it is committed
 */
export async function killBeforeAnswer(
  provider: Provider,
  write: { readonly table: string; readonly container: string },
  begin: () => void,
): Promise<void> {
  const { processes, shardDoor, query } = provider;
  const lock = new pg.Client({ connectionString: processes.plan.shards[0]?.postgresUrl });
  await lock.connect();
  try {
    await lock.query('BEGIN');
    await lock.query(`LOCK TABLE ${write.table} IN SHARE MODE`);
    begin();
    const text = 'SELECT FROM pg_locks WHERE relation = $1::regclass AND NOT granted';
    await vi.waitFor(async () => expect(await query(text, [write.table])).not.toEqual([]), patience);
    shardDoor.mute();
    await untilFiled(provider, write.container, () => lock.query('COMMIT'));
  } finally {
    await lock.end();
  }
  await processes.killOne(shard);
  shardDoor.cut();
  shardDoor.open();
  await processes.startOne(shard);
}

/** Changes the database of a provider's shard while the shard does not run: it keeps much in memory. */
export async function changeDatabase(
  { processes, query }: Provider,
  ...statements: readonly (readonly [text: string, ...values: unknown[]])[]
): Promise<void> {
  await processes.stopOne(shard);
  for (const [text, ...values] of statements) await query(text, values);
  await processes.startOne(shard);
}

/** Waits until a provider's shard works again that has lost its database, and perhaps has been started anew for it. */
export async function untilBack({ processes }: Provider): Promise<void> {
  await vi.waitFor(() => processes.untilReady(shard), patience);
}

/** One of a provider's programs, to be stopped in its tracks (`SIGSTOP`) and let go on (`SIGCONT`). */
export function programOf({ processes }: Provider, name: string): RunningProgram {
  const program = processes.programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`${name} does not run`);
  return program;
}

/** What a provider's process tells of itself in figures. */
export async function figuresOf({ processes }: Provider, name: string): Promise<string> {
  const { url = '' } = processes.adminUrls.find((each) => each.name === name) ?? {};
  return (await fetch(`${url}/metrics`)).text();
}
