/**
 * A process's life: start, wait for a signal, stop in good order, and, only if that takes too long, the one forced exit.
 *
 * Stopping means letting go: the service stops taking work, finishes what it has, closes what it opened; then nothing
 * keeps the event loop and the process ends by itself.
 */

import { shutdownMsMax } from '@meshd/limits/limits';
import { brokenRelations } from '@meshd/limits/relations';
import { createLogger, flushLogger, type Logger, type LogLevel } from '@meshd/telemetry/logger';
import { createMetrics, type Metrics } from '@meshd/telemetry/metrics';
import type { z } from 'zod';
import { tuneCollector } from './collector.js';
import { ConfigError, describeConfig, readConfig } from './config.js';

/** A service that runs. Its composition root returns one; tests stop it as `runService` does. */
export interface RunningService {
  /** Stops taking work, finishes what is open, closes everything. Calling it twice is the same as once. */
  stop(): Promise<void>;
}

/** A start that failed half-way has little to let go of: what it had opened gets this long, milliseconds. */
const failedStartMs = 1000;

/** What {@link runService} needs. */
export interface RunOptions {
  /** Starts the service; rejecting means the process cannot do its work. */
  readonly start: () => Promise<RunningService>;
  readonly logger: Logger;
  /** How long stopping may take before the exit is forced, milliseconds. */
  readonly graceMs?: number;
}

/**
 * Starts a service and stops it on SIGTERM or SIGINT.
 *
 * Sets `process.exitCode`: 0 after a stop in good order, 1 when the start or the stop failed or took too long. A signal
 * that arrives while the service is still starting stops it as soon as it has started.
 */
export async function runService({ start, logger, graceMs = shutdownMsMax }: RunOptions): Promise<void> {
  const signal = nextSignal();
  catchStrayErrors(logger);
  let service: RunningService;
  try {
    service = await start();
  } catch (error) {
    logger.fatal({ err: error }, 'cannot start');
    await exitSoon(logger, failedStartMs);
    return;
  }
  logger.info('started');
  logger.info({ signal: await signal }, 'stopping');
  await stopService(service, logger, graceMs);
}

async function stopService(service: RunningService, logger: Logger, graceMs: number): Promise<void> {
  const forced = forceExitAfter(graceMs, logger);
  try {
    await service.stop();
    logger.info('stopped');
  } catch (error) {
    logger.error({ err: error }, 'stopping failed');
    process.exitCode = 1;
  }
  await flushLogger(logger);
  // The timer does not keep the process alive; it ends one that something forgotten keeps alive.
  forced.unref();
}

/** The first SIGTERM or SIGINT. Later ones change nothing: the stop is under way and its length is bounded. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, resolve);
  });
}

/**
 * An error that nobody awaited means that the process is in a state nobody thought of: say so and leave, in good order
 * as far as the log goes. Whatever runs the process starts it again.
 */
function catchStrayErrors(logger: Logger): void {
  const die = (error: unknown) => {
    logger.fatal({ err: error }, 'stray error');
    void exitSoon(logger, 0);
  };
  process.once('uncaughtException', die);
  process.once('unhandledRejection', die);
}

async function exitSoon(logger: Logger, graceMs: number): Promise<void> {
  process.exitCode = 1;
  await flushLogger(logger);
  forceExitAfter(graceMs, logger).unref();
}

/** The only forced exit of a process. */
function forceExitAfter(graceMs: number, logger: Logger): NodeJS.Timeout {
  return setTimeout(() => {
    logger.fatal({ graceMs }, 'still busy after the time allowed for stopping: leaving by force');
    process.exit(1);
  }, graceMs);
}

/** What a service's `start` is handed by {@link runMain}. */
export interface StartContext<Config> {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What {@link runMain} needs. */
export interface MainOptions<S extends z.ZodObject> {
  /** Name of the service, for its log lines. */
  readonly service: string;
  readonly schema: S;
  readonly start: (context: StartContext<z.output<S>>) => Promise<RunningService>;
  /** The process's own environment when absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Everything a `main.ts` does: settings, logger, figures, start, signals, stop. */
export async function runMain<S extends z.ZodObject>({ service, schema, start, env }: MainOptions<S>): Promise<void> {
  const broken = brokenRelations();
  if (broken.length > 0) throw new Error(`limits: ${broken.join('; ')}`);
  tuneCollector();
  let config: z.output<S>;
  try {
    config = readConfig(schema, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const logger = createLogger({ service });
    logger.fatal({ problems: error.problems }, 'configuration refused');
    process.exitCode = 1;
    return;
  }
  const { logLevel } = config as { logLevel?: LogLevel };
  const logger = createLogger(logLevel === undefined ? { service } : { service, level: logLevel });
  logger.debug({ config: describeConfig(schema, config) }, 'configuration');
  const metrics = createMetrics({ processMetrics: true });
  await runService({ logger, start: () => start({ config, logger, metrics }) });
}
