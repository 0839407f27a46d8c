/** The logger of a process: pino, one JSON object a line on standard output. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Levels that the setting `MESHD_LOG_LEVEL` may name. */
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number];

/** What {@link createLogger} needs to know. */
export interface LoggerOptions {
  /** Name of the process, a member of every line: `router`, `shard`, `outbound`. */
  readonly service: string;
  /** Lines below this level are not written; `info` when absent. */
  readonly level?: LogLevel;
  /** Where lines go; standard output when absent. Tests pass a stream of their own. */
  readonly destination?: DestinationStream;
}

/**
 * Member names whose value never reaches a log line, at the top and one level down. Callers do not log secrets in the
 * first place; this catches the object that was logged whole by mistake.
 */
const secretMembers = ['seed', 'private', 'privateKey', 'secret', 'password', 'ticket', 'masterSecret'];

/**
 * Makes the logger of a process.
 *
 * Lines are written at once rather than gathered: what a crashing process had to say is worth more than the
 * microseconds.
 *
 * @returns the logger; hand children of it (`logger.child({ … })`) to the parts of the process
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretMembers.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** A logger that writes nothing, for tests and tools. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/**
 * Waits until every line has left the process. Call it before an exit: a line that is still in a buffer is lost then.
 *
 * @throws never; a logger that cannot flush has nobody left to tell
 */
export function flushLogger(logger: Logger): Promise<void> {
  return new Promise((resolve) => logger.flush(() => resolve()));
}
