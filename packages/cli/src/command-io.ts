/** What a command sees of the world: files, standard streams, progress. Commands import nothing else that does I/O. */
import { readFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import colorsOf from 'picocolors';

/** Wrong usage: the command exits with 2. The message says what to type instead. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** A fault that the user can do something about: one line on standard error, exit 1. */
export class CommandError extends Error {
  override name = 'CommandError';
}

/** A running progress display; silent where standard error is no terminal or the work ends within a second. */
export interface Progress {
  /** Sets what is done so far, in the unit of `total`. */
  update(done: number, total?: number): void;
  /** Ends the display; safe to call twice. */
  stop(): void;
}

/** Options of {@link CommandIo.writeFile}. */
export interface WriteOptions {
  /** Permission bits of a new file; keys are written with 0o600. */
  readonly mode?: number;
  /** Refuse to replace a file that exists. */
  readonly exclusive?: boolean;
}

/** Handed to every command. One object a run; tests pass one of their own. */
export interface CommandIo {
  /** `--json` was given: {@link print} writes one JSON document. */
  readonly json: boolean;
  /** Folder of the device's state (`--home`). */
  readonly home: string;
  /** Encoding of requests (`--encoding`); the best that the service takes where undefined. */
  readonly encoding: 'json' | 'json-b' | undefined;
  /** Name server that is asked where services are (`--resolver`); those of the environment or system where undefined. */
  readonly resolver: string | undefined;
  /** Colour functions; they return their input unchanged where standard output is no terminal or `--json` is given. */
  readonly colours: ReturnType<typeof colorsOf.createColors>;
  /** Reads a whole file, `-` = standard input. Throws {@link CommandError} that names the file. */
  readFile(pathOrDash: string): Promise<Uint8Array>;
  /** Writes a whole file, `-` = standard output. Throws {@link CommandError} that names the file. */
  writeFile(pathOrDash: string, octets: Uint8Array, options?: WriteOptions): Promise<void>;
  /**
   * Writes octets at an offset of an existing file and cuts off what lies behind them. Throws {@link CommandError} that
   * names the file.
   */
  writeAt(path: string, offset: number, octets: Uint8Array): Promise<void>;
  /** Makes a folder with those above it, unless it is there. Throws {@link CommandError} that names it. */
  makeFolder(path: string): Promise<void>;
  /** The command's result, called exactly once: JSON under `--json`, else the text for people. */
  print(result: unknown, human: string | (() => string)): void;
  /** A line on standard error for people; nothing under `--json`. */
  note(text: string): void;
  /** Asks the user, where one sits there: one of `choices`, or undefined under `--json` and without a terminal. */
  ask<C extends string>(question: string, choices: readonly C[]): Promise<C | undefined>;
  /** Asks for a secret, which is not shown; undefined under `--json` and without a terminal. */
  askSecret(question: string): Promise<string | undefined>;
  /** Shows progress on standard error once the work has lasted a second. */
  progress(label: string, total?: number): Progress;
  /** The exit code where no error is thrown (0 unless set): `dare verify` prints its verdict and exits 1. */
  setExitCode(code: 0 | 1 | 2): void;
}

/** The options that the program's own flags decide; read when a command runs, after parsing. */
export interface IoSettings {
  json: boolean;
  home: string;
  encoding?: 'json' | 'json-b' | undefined;
  resolver?: string | undefined;
  exitCode: 0 | 1 | 2;
}

/** Work shorter than this shows no progress display. */
const progressDelayMs = 1000;

/**
 * Octets as base64url in JSON results; bigint beyond 2^53 as decimal text. A method of the holder, because a Buffer
 * turns itself into an object of numbers before its value gets here.
 */
function jsonReplacer(this: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = this[name];
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url');
  if (typeof value === 'bigint') return value.toString();
  return value;
}

function failure(verb: string, path: string, error: unknown): CommandError {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'it does not exist; check the path',
    EACCES: 'permission denied; check who owns it',
    EISDIR: 'it is a folder; name a file',
    EEXIST: 'it exists already; choose another name or remove it first',
  };
  return new CommandError(`cannot ${verb} ${path}: ${(code && reasons[code]) ?? (error as Error).message}`);
}

async function readStdin(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  // The process's own stream: whatever imports node:process makes a pipe on descriptor 0 non-blocking, and reading the
  // descriptor as a file then fails with EAGAIN as soon as the writer is slower than we are.
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function readAll(pathOrDash: string): Promise<Uint8Array> {
  try {
    return pathOrDash === '-' ? await readStdin() : readFileSync(pathOrDash);
  } catch (error) {
    throw failure('read', pathOrDash, error);
  }
}

async function writeAll(pathOrDash: string, octets: Uint8Array, options: WriteOptions): Promise<void> {
  if (pathOrDash === '-') {
    await new Promise<void>((resolve) => process.stdout.write(octets, () => resolve()));
    return;
  }
  try {
    const file = await open(pathOrDash, options.exclusive ? 'wx' : 'w', options.mode ?? 0o666);
    try {
      await file.writeFile(octets);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw failure('write', pathOrDash, error);
  }
}

async function patchFile(path: string, offset: number, octets: Uint8Array): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      // Cut first: an end that is torn is then shorter, never a mixture of old and new octets.
      await file.truncate(offset);
      await file.write(octets, 0, octets.length, offset);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw failure('write', path, error);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw failure('make the folder', path, error);
  }
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

function barProgress(label: string, total: number | undefined): Progress {
  const bar = new SingleBar({
    format: total === undefined ? `${label} {value}` : `${label} [{bar}] {value}/{total}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  let shown = false;
  let latest = { done: 0, total: total ?? 0 };
  const timer = setTimeout(() => {
    shown = true;
    bar.start(latest.total, latest.done);
  }, progressDelayMs);
  return {
    update(done, newTotal) {
      latest = { done, total: newTotal ?? latest.total };
      if (!shown) return;
      bar.setTotal(latest.total);
      bar.update(done);
    },
    stop() {
      clearTimeout(timer);
      if (shown) bar.stop();
      shown = false;
    },
  };
}

async function askTerminal<C extends string>(question: string, choices: readonly C[]): Promise<C | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = (await lines.question(`${question} [${choices.join('/')}] `)).trim().toLowerCase();
    return choices.find((choice) => answer !== '' && choice.startsWith(answer));
  } finally {
    lines.close();
  }
}

/** One line of a terminal, of which nothing is shown. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(`${question}: `);
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nothing, terminal: true });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

const isAlone = (settings: IoSettings): boolean =>
  settings.json || process.stdin.isTTY !== true || process.stderr.isTTY !== true;

/** The real world: this process's streams and files. `settings` is filled by the program before a command runs. */
export function processIo(settings: IoSettings): CommandIo {
  return {
    get json() {
      return settings.json;
    },
    get home() {
      return settings.home;
    },
    get encoding() {
      return settings.encoding;
    },
    get resolver() {
      return settings.resolver;
    },
    get colours() {
      return colorsOf.createColors(!settings.json && process.stdout.isTTY === true && colorsOf.isColorSupported);
    },
    readFile: readAll,
    writeFile: (pathOrDash, octets, options = {}) => writeAll(pathOrDash, octets, options),
    writeAt: patchFile,
    makeFolder,
    print(result, human) {
      const text = settings.json ? JSON.stringify(result, jsonReplacer) : typeof human === 'string' ? human : human();
      process.stdout.write(text.endsWith('\n') || text === '' ? text : `${text}\n`);
    },
    note(text) {
      if (!settings.json) process.stderr.write(`${text}\n`);
    },
    async ask(question, choices) {
      return isAlone(settings) ? undefined : askTerminal(question, choices);
    },
    async askSecret(question) {
      return isAlone(settings) ? undefined : askHidden(question);
    },
    progress(label, total) {
      return settings.json || process.stderr.isTTY !== true ? silent : barProgress(label, total);
    },
    setExitCode(code) {
      settings.exitCode = code;
    },
  };
}
