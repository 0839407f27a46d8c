/** The frame of a program that does one thing and ends: settings, log, exit code. */
import { ConfigError, readConfig } from '@meshd/process/config';
import { createLogger, flushLogger, type Logger, type LogLevel } from '@meshd/telemetry/logger';
import type { z } from 'zod';

/**
 * Reads the settings and does the work. A failure is one line in the log and exit code 1: whatever started the program
 * decides whether it is tried again.
 */
export async function runOnce<S extends z.ZodObject>(
  name: string,
  schema: S,
  work: (config: z.output<S>, logger: Logger) => Promise<void>,
): Promise<void> {
  let logger = createLogger({ service: name });
  try {
    const config = readConfig(schema);
    const { logLevel } = config as { logLevel?: LogLevel };
    if (logLevel !== undefined) logger = createLogger({ service: name, level: logLevel });
    await work(config, logger);
  } catch (error) {
    if (error instanceof ConfigError) logger.fatal({ problems: error.problems }, 'configuration refused');
    else logger.fatal({ err: error }, 'failed');
    process.exitCode = 1;
  }
  await flushLogger(logger);
}
