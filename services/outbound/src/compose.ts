/** Builds the outbound process from its settings and takes it apart again. */
import { readFile } from 'node:fs/promises';
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { readDiscoverySettings } from '@meshd/binding/discovery/settings';
import { type HostWatch, watchHostIdentity } from '@meshd/binding/host-watch';
import { connectionHostMsMin } from '@meshd/limits/limits';
import { startAdminListener } from '@meshd/process/admin';
import { type Clock, systemClock } from '@meshd/process/clock';
import type { RunningService } from '@meshd/process/run';
import { type Logger, silentLogger } from '@meshd/telemetry/logger';
import { createMetrics, type Metrics } from '@meshd/telemetry/metrics';
import type { OutboundConfig } from './config.js';
import { makeFigures } from './metrics.js';
import { openWakeUps, type WakeUps } from './queue.js';
import { openConnections, Shards, seedsOf } from './shards.js';
import { Worker } from './worker.js';

/** What a test or `main.ts` puts in place of the defaults. */
export interface OutboundOverrides {
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
}

/** The process, running. */
export interface Outbound extends RunningService {
  /** Health, readiness and figures. */
  readonly adminUrl: string;
}

/**
 * Starts it.
 *
 * @throws BindingError `host-files` without a usable host identity; errors of files and sockets
 */
export async function startOutbound(config: OutboundConfig, overrides: OutboundOverrides = {}): Promise<Outbound> {
  const { logger = silentLogger(), metrics = createMetrics(), clock = systemClock } = overrides;
  const open = await openConnections(config, logger);
  const ca = config.peerCaFile === undefined ? undefined : await readFile(config.peerCaFile, 'utf8');
  const host = await watchHostIdentity(config.hostDir, {
    onChange: (identity) => logger.info({ notAfterMs: identity.notAfterMs }, 'host connection renewed'),
    onError: (error) => logger.error({ err: error }, 'host files cannot be used'),
  });
  const { serviceUdf } = host.current();
  const onError = (error: Error): void => logger.warn({ err: error }, 'Redis connection');
  const wakeUps = openWakeUps({ redisUrl: config.redisUrl, serviceUdf, clock, onError });
  const onMap = (): void => void worker.sweep();
  const shards = new Shards({ open, seeds: seedsOf(config), clock, logger, onMap });
  const figures = makeFigures(metrics);
  const locator = new ServiceLocator({ ...discoveryOf(config), clock });
  const worker = new Worker({ shards, wakeUps, clock, logger, figures, locator, host: () => host.current(), ca });
  metrics.gauge('outbound_posts_in_work', 'Posts in work, all destinations.', [], (gauge) => gauge.set(worker.inWork));
  metrics.gauge('outbound_wake_ups', 'Wake-ups in the queue, whatever their state.', [], async (gauge) => {
    if (wakeUps.problem() === undefined) gauge.set(await wakeUps.count());
  });
  shards.start();
  worker.start();
  const stopParts = async (): Promise<void> => {
    await worker.stop();
    shards.stop();
    host.stop();
  };
  try {
    const admin = await startAdminListener({
      listen: config.adminListen,
      ready: () => problems(host, wakeUps, shards, clock),
      metrics: metrics.registry,
    });
    return {
      adminUrl: admin.url,
      stop: once(async () => {
        await stopParts();
        await admin.stop();
      }),
    };
  } catch (error) {
    await stopParts();
    throw error;
  }
}

function discoveryOf({
  discoveryServers: servers,
  discoveryOverrides: overrides,
  discoveryAllow: allow,
}: OutboundConfig) {
  return readDiscoverySettings({ servers, overrides, allow });
}

function problems(host: HostWatch, wakeUps: WakeUps, shards: Shards, clock: Clock): string[] {
  const left = host.current().notAfterMs - clock();
  const expiring = left < connectionHostMsMin ? 'the host connection ends within the hour' : undefined;
  return [expiring, wakeUps.problem(), ...shards.problems()].filter((problem) => problem !== undefined);
}

/** A second stop waits for the first. */
function once(stop: () => Promise<void>): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= stop();
    return stopping;
  };
}
