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
import { OfferTurns } from './connect/offers.js';
import { startErasing } from './erasing.js';
import {
  defineOutboxFigures,
  defineShardFigures,
  defineStoreFigures,
  type OutboxFigures,
  type StoreFigures,
} from './figures.js';
import { Handlers } from './handlers.js';
import { AccountHeads } from './heads.js';
import { IdentityNotices, writeIdentityNotice } from './message/identity-notices.js';
import { IncidentTally } from './message/incident-tally.js';
import { SendingDomains } from './message/offers.js';
import { sitePolicyOf } from './message/site-policy.js';
import { notReady } from './not-ready.js';
import { Destinations } from './outbox/destinations.js';
import { startExpiry } from './outbox/expiry.js';
import { PostRates } from './outbox/post-rates.js';
import { type RecordMaker, recordIncident, serviceAccount } from './service-records.js';
import { StatusWaits } from './status-waits.js';
import { type Directory, openDirectory } from './storage/directory.js';
import { openStore } from './storage/open-store.js';
import { openPeers, type PeerStore } from './storage/peers.js';
import { shardOfAccount } from './storage/slot-table.js';
import type { Store } from './storage/store.js';
import type { DamageReport } from './storage/store-options.js';
import { noWakeUps, openWakeUps, type WakeUps } from './wake-ups.js';
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
  /** How often bodies of deleted entries are removed, milliseconds. */
  readonly eraseEveryMs?: number;
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
  const shard = new ShardProcess(config, overrides);
  try {
    await shard.start();
    return shard;
  } catch (error) {
    await shard.stop();
    throw error;
  }
}

/** The parts of a shard in the order in which they are opened; they are closed in the reverse order. */
class ShardProcess implements Shard {
  readonly #config: ShardConfig;
  readonly #overrides: ShardOverrides;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stops: (() => void | Promise<void>)[] = [];
  #stopping: Promise<void> | undefined;
  /** Why no work is taken; undefined while it is. */
  #closed: 'starting' | 'stopping' | undefined = 'starting';
  #leaseLost: string | undefined;
  #handlers: ShardHandlers = notReady;
  readonly #waits = new StatusWaits();
  readonly #outboxFigures: OutboxFigures;
  readonly #storeFigures: StoreFigures;
  #host!: HostWatch;
  #server!: ShardServer;
  #directory!: Directory;
  #peers!: PeerStore;
  #store!: Store;
  #wakeUps: WakeUps = noWakeUps;
  #adminUrl = '';

  constructor(config: ShardConfig, overrides: ShardOverrides) {
    this.#config = config;
    this.#overrides = overrides;
    this.#logger = overrides.logger ?? silentLogger();
    this.#metrics = overrides.metrics ?? createMetrics();
    this.#outboxFigures = defineOutboxFigures(this.#metrics);
    this.#storeFigures = defineStoreFigures(this.#metrics);
    this.#clock = overrides.clock ?? systemClock;
    this.#random = overrides.random ?? systemRandom;
  }

  get rpcAddress(): HostPort {
    return { host: this.#config.rpcListen.host, port: this.#server.port };
  }

  get adminUrl(): string {
    return this.#adminUrl;
  }

  async start(): Promise<void> {
    await this.#followHostFiles();
    await this.#startAdmin();
    await this.#listen();
    await this.#openDirectory();
    await this.#openStore();
    await makeServiceAccount(this.#store, this.#host.current(), this.#clock(), this.#random);
    this.#openWakeUps();
    this.#takeWork();
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const stop of this.#stops.toReversed()) await stop();
    })();
    return this.#stopping;
  }

  async #followHostFiles(): Promise<void> {
    this.#host = await watchHostIdentity(this.#config.hostDir, {
      onChange: ({ notAfterMs }) => this.#logger.info({ notAfterMs }, 'host connection renewed'),
      onError: (error) => this.#logger.error({ err: error }, 'host files cannot be used'),
    });
    this.#stops.push(() => this.#host.stop());
  }

  /** First to open and last to close: it tells how far the others are. */
  async #startAdmin(): Promise<void> {
    const admin = await startAdminListener({
      listen: this.#config.adminListen,
      health: () => (this.#leaseLost === undefined ? [] : [`lease lost: ${this.#leaseLost}`]),
      ready: () => this.#problems(),
      metrics: this.#metrics.registry,
    });
    this.#adminUrl = admin.url;
    this.#stops.push(() => admin.stop());
  }

  #problems(): string[] {
    if (this.#closed !== undefined) return [this.#closed];
    return [
      ...identityProblems(this.#host.current(), this.#config.domains, this.#clock()),
      ...readinessProblems(this.#store),
      ...this.#directory.problems(),
    ];
  }

  /** Before the directory, which is told the port. */
  async #listen(): Promise<void> {
    const { rpcListen, rpcCertFile, rpcKeyFile, rpcCaFile } = this.#config;
    const [certificate, key, authority] = await Promise.all([
      readFile(rpcCertFile),
      readFile(rpcKeyFile),
      readFile(rpcCaFile),
    ]);
    this.#server = await serveShard({
      host: rpcListen.host,
      port: rpcListen.port,
      identity: { certificate, key, authority },
      handlers: {
        transact: (request, call) => this.#handlers.transact(request, call),
        download: (request, sink) => this.#handlers.download(request, sink),
        watchMap: (request, sink) => this.#handlers.watchMap(request, sink),
      },
      onError: (error) => this.#logger.error({ err: error }, 'rpc'),
    });
    this.#stops.push(() => this.#closeListener());
  }

  #listenerClosed: Promise<void> | undefined;

  #closeListener(): Promise<void> {
    this.#listenerClosed ??= this.#server.stop();
    return this.#listenerClosed;
  }

  async #openDirectory(): Promise<void> {
    const { directoryUrl, shardName, shardNames, rpcAdvertise } = this.#config;
    this.#directory = await openDirectory({
      url: directoryUrl,
      shardName,
      shardNames,
      address: advertised(rpcAdvertise, this.#server.port),
      onError: (error) => this.#logger.warn({ err: error }, 'the directory cannot be read'),
    });
    this.#stops.push(() => this.#directory.stop());
    const peers = openPeers(directoryUrl);
    this.#peers = peers;
    this.#stops.push(() => peers.stop());
  }

  async #openStore(): Promise<void> {
    const figures = this.#storeFigures;
    const { leaseWaitMsMax, onLeaseLost } = this.#overrides;
    this.#store = await openStore({
      url: this.#config.postgresUrl,
      shardName: this.#config.shardName,
      now: this.#clock,
      onLeaseLost: (reason) => {
        this.#leaseLost = reason;
        this.#logger.fatal({ reason }, 'lease lost');
        onLeaseLost?.(reason);
      },
      onDamaged: (report) => {
        figures.damaged.inc();
        this.#logger.error(report, 'a stored frame is not what was written: the container is read-only');
        this.#recordDamage(report).catch((error) => this.#logger.error({ err: error }, 'damage was not recorded'));
      },
      onError: (error) => this.#logger.error({ err: error }, 'storage'),
      onGroup: (report) => figures.observe(report),
      ...(leaseWaitMsMax === undefined ? {} : { leaseWaitMsMax }),
    });
    this.#stops.push(() => this.#store.stop());
  }

  async #recordDamage({ address, container, frameIndex }: DamageReport): Promise<void> {
    // Found by an earlier process, which recorded it.
    if (frameIndex === null) return;
    const detail = `frame ${frameIndex} of ${container} does not have its digest`;
    await recordIncident(this.#store, this.#recordMaker(), { kind: 'frame-damaged', account: address, detail });
  }

  #recordMaker(): RecordMaker {
    return { host: this.#host.current(), nowMs: this.#clock(), random: this.#random };
  }

  #openWakeUps(): void {
    const { redisUrl, shardName } = this.#config;
    if (redisUrl === undefined) return;
    this.#wakeUps = openWakeUps({
      ...{ redisUrl, shardName, serviceUdf: this.#host.current().serviceUdf, now: this.#clock },
      onError: (error) => this.#logger.warn({ err: error }, 'wake-ups'),
      onLost: (count) => this.#outboxFigures.wakeUpsLost.inc(count),
    });
    this.#stops.push(() => this.#wakeUps.stop());
  }

  #takeWork(): void {
    const directory = this.#directory;
    const { domains, registration, shardName, postsPerHourMax, contactRequestsPerDayMax, largeBytesMax } = this.#config;
    const context = {
      store: this.#store,
      host: () => this.#host.current(),
      clock: this.#clock,
      random: this.#random,
      registration,
      heads: new AccountHeads(() => this.#host.current()),
      waits: this.#waits,
      domains: new Set(domains),
      site: sitePolicyOf(this.#config),
      sendingDomains: new SendingDomains(contactRequestsPerDayMax),
      offerTurns: new OfferTurns(),
      incidents: new IncidentTally(
        (incident) => recordIncident(this.#store, this.#recordMaker(), incident),
        (error) => this.#logger.warn({ err: error }, 'an incident was not recorded'),
      ),
      identityNotices: new IdentityNotices(
        (change) => writeIdentityNotice(this.#store, this.#recordMaker(), change),
        (error) => this.#logger.warn({ err: error }, 'a recipient was not told that an identity has changed'),
      ),
      destinations: new Destinations(() => this.#store.outbox),
      postRates: new PostRates(postsPerHourMax),
      largeBytesMax,
      wakeUps: this.#wakeUps,
    };
    const figures = defineShardFigures(
      this.#metrics,
      () => this.#server.inFlightCount,
      () => this.#waits.count,
    );
    const ownership = ownershipOf(directory, shardName);
    const handlers = new Handlers({ context, ownership, peers: this.#peers, figures, logger: this.#logger });
    this.#handlers = {
      transact: (request, call) => handlers.transact(request, call),
      download: (request, sink) => handlers.download(request, sink),
      watchMap: (request, sink) => watchMap(directory, request, sink),
    };
    this.#closed = undefined;
    const stopExpiry = startExpiry(context, {
      onExpired: (count) => this.#outboxFigures.expired.inc(count),
      onError: (error) => this.#logger.error({ err: error }, 'messages were not expired'),
    });
    this.#stops.push(stopExpiry);
    const erasing = {
      onErased: (count: number) => this.#storeFigures.erased.inc(count),
      onError: (error: unknown) => this.#logger.error({ err: error }, 'bodies of deleted entries were not removed'),
    };
    this.#stops.push(startErasing(context, erasing, this.#overrides.eraseEveryMs));
    // The first step of stopping: what is in work ends while everything it needs is still open.
    this.#stops.push(() => this.#drain());
  }

  async #drain(): Promise<void> {
    this.#closed = 'stopping';
    // Nobody would end them: they are answered now, and come back elsewhere.
    this.#waits.stop();
    await new Promise((resolve) => setTimeout(resolve, this.#overrides.drainMs ?? shutdownDrainMs));
    await this.#closeListener();
  }
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

function identityProblems(identity: HostIdentity, domains: readonly string[], nowMs: number): string[] {
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
