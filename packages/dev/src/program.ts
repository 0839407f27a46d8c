/**
 * A program that runs beside us: Postgres, Redis or one of our services. Its output goes to a file, its end is awaited,
 * and it is stopped with a bound on how long that may take.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { watchOver } from './watchdog.js';

/** What to run, and how. */
export interface ProgramOptions {
  /** For messages: `postgres`, `shard-0`. */
  readonly name: string;
  readonly command: string;
  readonly args?: readonly string[];
  /** The whole environment; nothing is inherited, so that our settings never leak into another program. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** User to run as, where we may choose (only root may). */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Both outputs are appended here. */
  readonly logFile: string;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
}

/** How a program ended. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that was started. */
export interface RunningProgram {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<ProgramEnd>;
  /** Undefined while it runs. */
  readonly end: ProgramEnd | undefined;
  /** Sends a signal; nothing happens when it has ended already. */
  signal(name: NodeJS.Signals): void;
  /** Asks it to end (`SIGTERM` unless said otherwise), waits, and kills it when the time is over. */
  stop(graceMs: number, signal?: NodeJS.Signals): Promise<ProgramEnd>;
  /** The end of what it wrote since it was started, for error messages. */
  tail(): string;
}

/** A log is begun anew (the old one kept beside it) when it has grown beyond this. */
const logBytesMax = 8 * 1024 * 1024;
const tailBytes = 4096;

/**
 * Starts a program in a process group of its own, so that a Ctrl-C on the terminal reaches only us and we decide the
 * order in which things stop. When we are killed the watchdog ends it.
 *
 * @throws Error when it cannot be started at all
 */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  rotate(options.logFile);
  const logStart = statSync(options.logFile, { throwIfNoEntry: false })?.size ?? 0;
  const log = openSync(options.logFile, 'a', 0o600);
  const child = spawn(options.command, [...(options.args ?? [])], {
    env: { ...(options.env ?? {}) },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', log, log],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user ?? {}),
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new Error(`cannot start ${options.name}: ${error.message}`)));
  });
  // A program that dies at once closes the pipe under our hands; its end tells more than EPIPE would.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const program = watch(options, child, logStart);
  await watchOver(program.name, program.pid, program.ended);
  return program;
}

function watch(options: ProgramOptions, child: ChildProcess, logStart: number): RunningProgram {
  let end: ProgramEnd | undefined;
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once('exit', (code, signal) => {
      end = { code, signal };
      resolve(end);
    });
  });
  const signal = (name: NodeJS.Signals): void => {
    if (end === undefined) child.kill(name);
  };
  return {
    name: options.name,
    pid: child.pid as number,
    ended,
    get end() {
      return end;
    },
    signal,
    async stop(graceMs, name = 'SIGTERM') {
      signal(name);
      const timer = setTimeout(() => signal('SIGKILL'), graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
    tail: () => tailOf(options.logFile, logStart),
  };
}

function rotate(file: string): void {
  const info = statSync(file, { throwIfNoEntry: false });
  if (info !== undefined && info.size > logBytesMax) renameSync(file, `${file}.old`);
}

function tailOf(file: string, start: number): string {
  try {
    return readFileSync(file).subarray(start).subarray(-tailBytes).toString('utf8').trimEnd();
  } catch {
    return '';
  }
}
