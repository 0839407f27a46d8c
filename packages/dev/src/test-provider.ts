/**
 * A whole provider inside a test's process: real TLS, real Postgres databases of its own, real Redis, one router, two
 * shards, one outbound worker. What a test must control (clock, bounds) it passes in; everything else is as in
 * production. A test that stops or kills single processes uses `ProviderProcesses` instead.
 */

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOutbound } from '@meshd/outbound/compose';
import { outboundConfigSchema } from '@meshd/outbound/config';
import { type Clock, systemClock } from '@meshd/process/clock';
import { readConfig } from '@meshd/process/config';
import type { RunningService } from '@meshd/process/run';
import { type RouterOverrides, startRouter } from '@meshd/router/compose';
import { routerConfigSchema } from '@meshd/router/config';
import { type ShardOverrides, startShard } from '@meshd/shard/compose';
import { shardSettings as shardConfigSchema } from '@meshd/shard/config';
import type { Logger } from '@meshd/telemetry/logger';
import { readTestBackends } from './config.js';
import { dropDatabases } from './databases.js';
import { databaseNames, planProvider } from './provider-plan.js';
import {
  outboundSettings,
  type ProviderPlan,
  routerSettings,
  type Settings,
  shardSettings,
} from './service-settings.js';
import { waitFor } from './wait.js';
import { removeAtEnd } from './watchdog.js';

/** What a test may choose. */
export interface TestProviderOptions {
  /** Served domains; `mesh.example` when absent. */
  readonly domains?: readonly string[];
  /** Whether strangers may create accounts; open when absent, because most tests begin with one. */
  readonly registration?: 'closed' | 'open';
  readonly shardCount?: number;
  /** Servers of its own, in place of those that the whole test run shares: for tests that stop them. */
  readonly backends?: { readonly postgresUrl?: string; readonly redisUrl?: string };
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Put in place of the router's own defaults, after clock and logger. */
  readonly router?: RouterOverrides;
  /** Put in place of each shard's own defaults. */
  readonly shard?: ShardOverrides;
  /** Settings of the shards besides those of the plan. */
  readonly shardSettings?: Settings;
  /** Settings of the outbound worker besides those of the plan: where it finds other services, for one. */
  readonly outboundSettings?: Settings;
}

/** A provider that runs inside this process. */
export interface TestProvider {
  readonly domain: string;
  readonly domains: readonly string[];
  /** `https://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  /** The authority of the router's certificate, as a file and as PEM text. */
  readonly caFile: string;
  readonly ca: string;
  /** Health, readiness and figures of each process. */
  readonly adminUrls: { readonly router: string; readonly outbound: string; readonly shards: readonly string[] };
  /** Addresses of its databases, for tests that look into them. */
  readonly databases: { readonly directory: string; readonly shards: readonly string[] };
  /** Everything decided before the start: files, ports, names. */
  readonly plan: ProviderPlan;
  /** Stops everything and removes databases and files. */
  stop(): Promise<void>;
}

const readyMsMax = 30_000;

/** Starts a provider. @throws Error; what had been started is stopped */
export async function startTestProvider(options: TestProviderOptions = {}): Promise<TestProvider> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const { plan, clock } = await makePlan(options, undo);
    return await startServices(plan, { ...options, clock }, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Several providers that know nothing of one another, one for each domain. */
export async function startTestProviders(
  domains: readonly string[],
  options: Omit<TestProviderOptions, 'domains'> = {},
): Promise<TestProvider[]> {
  return Promise.all(domains.map((domain) => startTestProvider({ ...options, domains: [domain] })));
}

/**
 * Makes everything but the services themselves: databases, certificates, keys. For tests that start the services in
 * their own way, as processes for one.
 *
 * @returns the plan, and what removes everything again
 */
export async function makeTestPlan(
  options: TestProviderOptions = {},
): Promise<{ readonly plan: ProviderPlan; readonly folder: string; readonly remove: () => Promise<void> }> {
  const undo: (() => Promise<unknown>)[] = [];
  const { plan, folder } = await makePlan(options, undo);
  const remove = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  return { plan, folder, remove };
}

/**
 * Starts what {@link makeTestPlan} has planned, in this process. Providers that know each other are planned first.
 *
 * @throws Error; what had been started is stopped
 */
export async function startPlannedProvider(
  plan: ProviderPlan,
  options: TestProviderOptions = {},
): Promise<TestProvider> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await startServices(plan, { clock: systemClock, ...options }, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makePlan(options: TestProviderOptions, undo: (() => Promise<unknown>)[]) {
  const { domains = ['mesh.example'], registration = 'open', shardCount = 2, clock = systemClock } = options;
  const shared = readTestBackends();
  const { postgresUrl, redisUrl } = { ...shared, ...options.backends };
  const folder = await mkdtemp(join(tmpdir(), 'meshd-provider-'));
  removeAtEnd(folder);
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const databasePrefix = `test_${randomBytes(6).toString('hex')}`;
  undo.push(() => dropDatabases(postgresUrl, databaseNames(databasePrefix, shardCount)));
  const plan = await planProvider({
    domains,
    port: 0,
    registration,
    serviceFolder: join(folder, 'service'),
    tlsFolder: join(folder, 'tls'),
    postgresUrl,
    redisUrl,
    databasePrefix,
    ...(postgresUrl === shared.postgresUrl ? { templatePrefix: shared.templatePrefix } : {}),
    shardCount,
    logLevel: 'info',
    nowMs: clock(),
  });
  return { plan, folder, clock };
}

async function startServices(
  plan: ProviderPlan,
  options: TestProviderOptions & { readonly clock: Clock },
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<TestProvider> {
  const common = { clock: options.clock, ...(options.logger === undefined ? {} : { logger: options.logger }) };
  const started = <T extends RunningService>(service: T): T => {
    undo.push(() => service.stop());
    return service;
  };
  const shards = await Promise.all(
    plan.shards.map(async (shard) => {
      const config = readConfig(shardConfigSchema, { ...shardSettings(plan, shard), ...options.shardSettings });
      return started(await startShard(config, { ...common, drainMs: 0, ...options.shard }));
    }),
  );
  const outbound = started(
    await startOutbound(
      readConfig(outboundConfigSchema, { ...outboundSettings(plan), ...options.outboundSettings }),
      common,
    ),
  );
  const routerConfig = readConfig(routerConfigSchema, routerSettings(plan));
  const router = started(await startRouter(routerConfig, { ...common, drainMs: 0, ...options.router }));
  const adminUrls = {
    router: router.adminUrl,
    outbound: outbound.adminUrl,
    shards: shards.map((shard) => shard.adminUrl),
  };
  await Promise.all([...adminUrls.shards, adminUrls.outbound, adminUrls.router].map(untilReady));
  const { caFile } = plan.certificates;
  return {
    domain: plan.domains[0] as string,
    domains: plan.domains,
    url: `https://127.0.0.1:${router.address.port}`,
    port: router.address.port,
    caFile,
    ca: await readFile(caFile, 'utf8'),
    adminUrls,
    databases: { directory: plan.directoryUrl, shards: plan.shards.map(({ postgresUrl }) => postgresUrl) },
    plan,
    stop,
  };
}

async function untilReady(adminUrl: string): Promise<void> {
  const ask = async (): Promise<true> => {
    const response = await fetch(`${adminUrl}/readyz`);
    if (response.ok) return true;
    throw new Error(await response.text());
  };
  await waitFor(ask, { what: `readiness at ${adminUrl}`, deadlineMs: readyMsMax });
}
