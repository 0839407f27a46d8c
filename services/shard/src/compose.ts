import { readFile } from 'node:fs/promises';
import { verifyService } from '@meshd/binding/host-chain';
import type { HostIdentity } from '@meshd/binding/host-files';
import { type HostWatch, watchHostIdentity } from '@meshd/binding/host-watch';
import { type Random, systemRandom } from '@meshd/crypto/random';
import { connectionHostMsMin, shutdownDrainMs } from '@meshd/limits/limits';
import { startAdminListener } from '@meshd/process/admin';
import { type Clock, systemClock } from '@meshd/process/clock';
import type { RunningService } from '@meshd/process/run';
import { formatHostPort, type HostPort } from '@meshd/process/setting';
import { type ShardHandlers, type ShardServer, serveShard } from '@meshd/rpc/shard-server';
import { type Logger, silentLogger } from '@meshd/telemetry/logger';
import { createMetrics, type Metrics } from '@meshd/telemetry/metrics';
import type { ShardConfig } from './config.js';
import { defineShardFigures, defineStoreFigures } from './figures.js';
import { Handlers } from './handlers.js';
import { notReady } from './not-ready.js';
import { recordIncident, serviceAccount } from './service-records.js';
import { type Directory, openDirectory } from './storage/directory.js';
import { type DamageReport, openStore } from './storage/open-store.js';
import { shardOfAccount } from './storage/slot-table.js';
import type { Store } from './storage/store.js';
import { watchMap } from './watch-map.js';

/** What a test or `main.ts` puts in place of the defaults. */
export interface ShardOverrides {
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The lease is gone for good: the process can only be replaced. It refuses everything until somebody stops it. */
  readonly onLeaseLost?: (reason: string) => void;
  /** How long to wait for a lease that another process holds, milliseconds. */
  readonly leaseWaitMsMax?: number;
  /** Between failing readiness and closing the listener; tests have no router that must notice. */
  readonly drainMs?: number;
}

/** The process, running. */
export interface Shard extends RunningService {
  /** Where routers reach it, the port chosen by the system filled in. */
  readonly rpcAddress: HostPort;
  /** Health, readiness and figures. */
  readonly adminUrl: string;
}

/**
 * Starts a shard: host identity, rpc listener, directory, lease and store, the service's own account. Its databases are
 * migrated already.
 *
 * @throws BindingError `host-files` without a usable host identity, StorageError without databases or lease; errors of
 *   files and sockets
 */
export async function startShard(config: ShardConfig, overrides: ShardOverrides = {}): Promise<Shard> {
  const stops: (() => void | Promise<void>)[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = () => {
    stopping ??= (async () => {
      for (const stop of stops.toReversed()) await stop();
    })();
    return stopping;
  };
  try {
    return await build(config, overrides, stops, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function build(
  config: ShardConfig,
  overrides: ShardOverrides,
  stops: (() => void | Promise<void>)[],
  stopAll: () => Promise<void>,
): Promise<Shard> {
  const { logger = silentLogger(), metrics = createMetrics(), clock = systemClock, random = systemRandom } = overrides;
  const host = await watchHostIdentity(config.hostDir, {
    onChange: ({ notAfterMs }) => logger.info({ notAfterMs }, 'host connection renewed'),
    onError: (error) => logger.error({ err: error }, 'host files cannot be used'),
  });
  stops.push(() => host.stop());
  const work: { handlers?: ShardHandlers; draining: boolean } = { draining: false };
  const server = await listen(config, logger, () => work.handlers ?? notReady);
  const rpcAddress = { host: config.rpcListen.host, port: server.port };
  // The last to be opened for work is the first to be closed, but what it needs must outlive it.
  let serverStopped = false;
  const stopServer = async () => {
    if (serverStopped) return;
    serverStopped = true;
    await server.stop();
  };
  stops.push(stopServer);
  const directory = await openDirectory({
    url: config.directoryUrl,
    shardName: config.shardName,
    shardNames: config.shardNames,
    address: advertised(config.rpcAdvertise, server.port),
    onError: (error) => logger.warn({ err: error }, 'the directory cannot be read'),
  });
  stops.push(() => directory.stop());
  const storeFigures = defineStoreFigures(metrics);
  const reportDamage = async ({ address, container, frameIndex }: DamageReport) => {
    // Found by an earlier process, which recorded it.
    if (frameIndex === null) return;
    const maker = { host: host.current(), nowMs: clock(), random };
    const detail = `frame ${frameIndex} of ${container} does not have its digest`;
    await recordIncident(store, maker, { kind: 'frame-damaged', account: address, detail });
  };
  const store: Store = await openStore({
    url: config.postgresUrl,
    shardName: config.shardName,
    now: clock,
    onLeaseLost: (reason) => {
      logger.fatal({ reason }, 'lease lost');
      overrides.onLeaseLost?.(reason);
    },
    onDamaged: (report) => {
      storeFigures.damaged.inc();
      logger.error(report, 'a stored frame is not what was written: the container is read-only');
      void reportDamage(report).catch((error) => logger.error({ err: error }, 'damage could not be recorded'));
    },
    onError: (error) => logger.error({ err: error }, 'storage'),
    onGroup: (report) => storeFigures.observe(report),
    ...(overrides.leaseWaitMsMax === undefined ? {} : { leaseWaitMsMax: overrides.leaseWaitMsMax }),
  });
  stops.push(() => store.stop());
  await makeServiceAccount(store, host.current(), clock(), random);
  const context = {
    store,
    host: () => host.current(),
    clock,
    random,
    registration: config.registration,
    domains: new Set(config.domains),
  };
  const figures = defineShardFigures(metrics, () => server.inFlightCount);
  const handlers = new Handlers({ context, ownership: ownershipOf(directory, config.shardName), figures, logger });
  work.handlers = {
    transact: (request, call) => handlers.transact(request, call),
    download: (request, sink) => handlers.download(request, sink),
    watchMap: (request, sink) => watchMap(directory, request, sink),
  };
  const ready = () => [
    ...(work.draining ? ['stopping'] : []),
    ...identityProblems(host, config.domains, clock()),
    ...readinessProblems(store),
    ...directory.problems(),
  ];
  const admin = await startAdminListener({ listen: config.adminListen, ready, metrics: metrics.registry });
  stops.unshift(() => admin.stop());
  stops.push(async () => {
    work.draining = true;
    await new Promise((resolve) => setTimeout(resolve, overrides.drainMs ?? shutdownDrainMs));
    await stopServer();
  });
  return { rpcAddress, adminUrl: admin.url, stop: stopAll };
}

async function listen(config: ShardConfig, logger: Logger, handlers: () => ShardHandlers): Promise<ShardServer> {
  const [certificate, key, authority] = await Promise.all([
    readFile(config.rpcCertFile),
    readFile(config.rpcKeyFile),
    readFile(config.rpcCaFile),
  ]);
  return serveShard({
    host: config.rpcListen.host,
    port: config.rpcListen.port,
    identity: { certificate, key, authority },
    handlers: {
      transact: (request, call) => handlers().transact(request, call),
      download: (request, sink) => handlers().download(request, sink),
      watchMap: (request, sink) => handlers().watchMap(request, sink),
    },
    onError: (error) => logger.error({ err: error }, 'rpc'),
  });
}

/** Port 0 means the one that the system chose for the listener: a test's shard is reached where it listens. */
function advertised(address: HostPort, port: number): string {
  return formatHostPort(address.port === 0 ? { ...address, port } : address);
}

function ownershipOf(directory: Directory, shardName: string) {
  return {
    get version() {
      return directory.table().version;
    },
    owns: (address: string) => shardOfAccount(directory.table(), address) === shardName,
  };
}

async function makeServiceAccount(store: Store, host: HostIdentity, nowMs: number, random: Random): Promise<void> {
  const { offlineKey } = await verifyService(host.profileService);
  const service = { udf: host.serviceUdf, offlineKey: offlineKey.raw, profile: host.profileService };
  await store.ensureService(() => serviceAccount(service, nowMs, random));
}

function identityProblems(host: HostWatch, domains: readonly string[], nowMs: number): string[] {
  const identity = host.current();
  const unnamed = domains.filter((domain) => !identity.domains.includes(domain));
  return [
    ...(identity.notAfterMs - nowMs < connectionHostMsMin ? ['the host connection ends within the hour'] : []),
    ...unnamed.map((domain) => `the host connection does not name ${domain}`),
  ];
}

/** A damaged container is its account's misfortune, told in the log and by a figure; the shard serves all others. */
function readinessProblems(store: Store): string[] {
  return store.problems().filter((problem) => !problem.startsWith('damaged'));
}
