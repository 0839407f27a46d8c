/**
 * A provider on this machine with its data in a folder, as `npm start` runs it: backends, one router, two shards, one
 * outbound worker, each a process of its own, started again when one of them ends without having been asked to.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@meshd/process/clock';
import { type AdminAggregate, startAdminAggregate } from './admin-aggregate.js';
import { type Backends, startBackends } from './backends.js';
import { cacheFolder } from './config.js';
import { type Layout, type LocalSecrets, prepareLayout } from './layout.js';
import { type Ownership, takeOwnership } from './ownership.js';
import { isPortFree } from './ports.js';
import { planProvider } from './provider-plan.js';
import { ProviderProcesses } from './provider-processes.js';
import { ensureServiceKeys } from './service-keys.js';
import { type Settings, shardAddresses } from './service-settings.js';

/** What {@link startLocalProvider} needs. */
export interface LocalProviderOptions {
  readonly domains: readonly string[];
  readonly port: number;
  /** Folder in which everything is kept. */
  readonly data: string;
  /** Domains whose people may write to anybody here; none when absent. */
  readonly openTo?: readonly string[] | undefined;
  readonly postgresUrl?: string | undefined;
  readonly redisUrl?: string | undefined;
  /** Settings of the outbound worker besides: where it finds other services, for one. */
  readonly outboundSettings?: Settings | undefined;
  readonly say: (text: string) => void;
  /** Called once when something ended that the provider cannot do without. */
  readonly onFailure: (reason: string) => void;
}

/** The provider, running. */
export interface LocalProvider {
  readonly url: string;
  readonly adminUrl: string;
  readonly caFile: string;
  readonly layout: Layout;
  readonly backends: Backends;
  readonly processes: ProviderProcesses;
  stop(): Promise<void>;
}

const shardCount = 2;
/** Connections of hosts live seven days (S26); renewed daily, a machine that slept for six still has a good one. */
const renewMs = 24 * 3600 * 1000;
const restartPauseMs = 1000;
/** A process that cannot be kept running: after so many ends in a row the whole is given up. */
const restartCountMax = 5;
/** An end after this long counts as the first again. */
const steadyMs = 60_000;

/**
 * Starts it, and writes `provider.json` into the data folder once it answers.
 *
 * @throws InUseError when another provider uses the folder; BackendError; Error with the last lines of a process's log
 */
export async function startLocalProvider(options: LocalProviderOptions): Promise<LocalProvider> {
  const { secrets, ...layout } = await prepareLayout(options.data);
  const ownership = await takeOwnership(layout.lockFile, options.say);
  const undo: (() => Promise<void>)[] = [() => ownership.release()];
  const stop = stopper(undo);
  try {
    return await startParts({ options, layout, secrets, ownership, undo, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Start {
  readonly options: LocalProviderOptions;
  readonly layout: Layout;
  readonly secrets: LocalSecrets;
  readonly ownership: Ownership;
  /** What undoes the steps taken so far. */
  readonly undo: (() => Promise<void>)[];
  readonly stop: () => Promise<void>;
}

async function startParts({ options, layout, secrets, ownership, undo, stop }: Start): Promise<LocalProvider> {
  // An owner that was killed left its own; whoever waits for the file must not take that for ours.
  await rm(layout.providerFile, { force: true });
  if (!(await isPortFree('127.0.0.1', options.port))) {
    throw new Error(`port ${options.port} is in use; choose another with --port`);
  }
  options.say('Starting Postgres and Redis');
  const backends = await startBackends(backendOptions(options, layout, secrets));
  undo.push(() => backends.stop());
  const record = (): Promise<void> => ownership.record([...programsOf(backends), ...(processes?.programs ?? [])]);
  let processes: ProviderProcesses | undefined;
  await record();
  const plan = await planProvider({
    domains: options.domains,
    port: options.port,
    // Closed is the default of the services; on the loopback interface only people of this machine can come in.
    registration: 'open',
    openTo: options.openTo,
    serviceFolder: layout.service,
    tlsFolder: layout.tls,
    postgresUrl: backends.postgres.url,
    redisUrl: backends.redis.url,
    databasePrefix: `meshd_${secrets.id}`,
    shardCount,
    logLevel: 'info',
    nowMs: systemClock(),
    outboundSettings: options.outboundSettings,
  });
  processes = new ProviderProcesses(plan, layout.logs);
  options.say('Starting router, two shards and outbound worker');
  await processes.start();
  undo.push(() => (processes as ProviderProcesses).stop());
  await record();
  const admin = await startAdminAggregate(processes.adminUrls);
  undo.push(() => admin.stop());
  keepRunning(processes, backends, options, record);
  undo.push(renewDaily(layout, options));
  await announce(layout, processes, admin, options.domains);
  undo.push(() => rm(layout.providerFile, { force: true }));
  const { caFile } = plan.certificates;
  return { url: processes.url, adminUrl: admin.url, caFile, layout, backends, processes, stop };
}

function backendOptions(options: LocalProviderOptions, layout: Layout, secrets: LocalSecrets) {
  return {
    postgresUrl: options.postgresUrl,
    redisUrl: options.redisUrl,
    postgresFolder: layout.postgres,
    logFolder: layout.logs,
    cache: cacheFolder,
    passwords: { postgres: secrets.postgresPassword, redis: secrets.redisPassword },
    volume: `meshd-${secrets.id}`,
    say: options.say,
  };
}

const programsOf = (backends: Backends) =>
  [backends.postgres.program, backends.redis.program].filter((program) => program !== undefined);

/** Undoes in the opposite order, everything, also when a step fails; a second call waits for the first. */
function stopper(undo: readonly (() => Promise<void>)[]): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const step of undo.toReversed()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  return () => {
    stopping ??= run();
    return stopping;
  };
}

/** Starts services again that end; a backend that ends, or a service that ends again and again, ends the whole. */
function keepRunning(
  processes: ProviderProcesses,
  backends: Backends,
  options: LocalProviderOptions,
  record: () => Promise<void>,
): void {
  const ends = new Map<string, { count: number; atMs: number }>();
  processes.onUnexpectedEnd = (name, { code, signal }, tail) => {
    const nowMs = performance.now();
    const last = ends.get(name);
    const count = last !== undefined && nowMs - last.atMs < steadyMs ? last.count + 1 : 1;
    ends.set(name, { count, atMs: nowMs });
    options.say(`${name} ended (${signal ?? `exit code ${code}`}):\n${tail}`);
    if (count > restartCountMax) options.onFailure(`${name} does not stay up`);
    else void restart(name);
  };
  const restart = async (name: string): Promise<void> => {
    await sleep(restartPauseMs);
    options.say(`Starting ${name} again`);
    // a start that fails ends the process, which is told as an end of its own
    await processes.startOne(name).then(record, () => {});
  };
  for (const program of programsOf(backends)) {
    void program.ended.then(() => options.onFailure(`${program.name} ended; its log says why`));
  }
}

/** Renews the connections of the hosts and the ticket keys once a day; returns what ends that. */
function renewDaily(layout: Layout, options: LocalProviderOptions): () => Promise<void> {
  const renew = () =>
    ensureServiceKeys(layout.service, options.domains, systemClock()).catch((error: Error) =>
      options.say(`The hosts' connections and ticket keys could not be renewed: ${error.message}`),
    );
  const timer = setInterval(() => void renew(), renewMs).unref();
  return async () => clearInterval(timer);
}

/** Tells scripts where the provider answers. */
async function announce(
  layout: Layout,
  processes: ProviderProcesses,
  admin: AdminAggregate,
  domains: readonly string[],
): Promise<void> {
  const { certificates } = processes.plan;
  const facts = {
    domain: domains[0],
    domains,
    url: processes.url,
    caFile: certificates.caFile,
    adminUrl: admin.url,
    // what mesh-admin reaches the shards with
    operator: {
      shards: shardAddresses(processes.plan),
      ...certificates.internal.operator,
      caFile: certificates.internalCaFile,
    },
    pid: process.pid,
  };
  // a reader that waits for the file must not see half of it
  await writeFile(`${layout.providerFile}.new`, `${JSON.stringify(facts, null, 2)}\n`);
  await rename(`${layout.providerFile}.new`, layout.providerFile);
}
