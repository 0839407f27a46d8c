/**
 * Who uses a data folder. One provider at a time: two would start two Postgres servers on one cluster.
 *
 * The file names the process that owns the folder and the programs it started, each with the time it started, so that a
 * number given anew to a stranger is not mistaken for one of them. An owner that was killed leaves its programs running;
 * the next owner stops them first.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProgram } from './program.js';

interface ProcessMark {
  readonly name: string;
  readonly pid: number;
  /** As the kernel tells it; empty where it does not. */
  readonly started: string;
}

interface Owner {
  readonly owner: ProcessMark;
  readonly programs: readonly ProcessMark[];
}

/** The folder is in use. */
export class InUseError extends Error {
  override readonly name = 'InUseError';
  /** The process that uses it. */
  readonly pid: number;

  constructor(pid: number) {
    super(`the data folder is in use by process ${pid}`);
    this.pid = pid;
  }
}

/** Held while a folder is used. */
export interface Ownership {
  /** Writes down the programs that run now. */
  record(programs: readonly RunningProgram[]): Promise<void>;
  release(): Promise<void>;
}

const leftoverMsMax = 10_000;

/**
 * Takes the folder, after stopping what a killed owner left.
 *
 * @param file where ownership is written down
 * @throws InUseError when its owner is alive
 */
export async function takeOwnership(file: string, say: (text: string) => void): Promise<Ownership> {
  const me = await mark('owner', process.pid);
  const write = (programs: readonly ProcessMark[]) => save(file, { owner: me, programs });
  if (!(await create(file, { owner: me, programs: [] }))) {
    const previous = await load(file);
    if (previous !== undefined && (await isAlive(previous.owner))) throw new InUseError(previous.owner.pid);
    await stopLeftovers(previous?.programs ?? [], say);
    await write([]);
  }
  return {
    record: async (programs) => write(await Promise.all(programs.map((program) => mark(program.name, program.pid)))),
    release: () => rm(file, { force: true }),
  };
}

/** Only one of two that start at the same moment can create the file. */
async function create(file: string, owner: Owner): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(owner), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function save(file: string, owner: Owner): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(owner));
  await rename(`${file}.new`, file);
}

async function load(file: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

async function stopLeftovers(programs: readonly ProcessMark[], say: (text: string) => void): Promise<void> {
  // the last started first: a shard cannot end in good order when its database has gone before it
  for (const program of programs.toReversed()) {
    if (!(await isAlive(program))) continue;
    say(`Stopping ${program.name} (process ${program.pid}), left by a run that was killed`);
    await end(program);
  }
}

async function end(program: ProcessMark): Promise<void> {
  // SIGINT: our services take it as SIGTERM, and for Postgres it is the shutdown that does not wait for sessions
  send(program.pid, 'SIGINT');
  const endMs = performance.now() + leftoverMsMax;
  while (performance.now() < endMs) {
    if (!(await isAlive(program))) return;
    await sleep(100);
  }
  send(program.pid, 'SIGKILL');
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isAlive(program: ProcessMark): Promise<boolean> {
  if (!send(program.pid, 0)) return false;
  const { state, started } = await kernelLine(program.pid);
  // One that has ended but that nobody has asked about still has its number; in a container nobody may ever ask.
  return state !== 'Z' && (program.started === '' || started === program.started);
}

async function mark(name: string, pid: number): Promise<ProcessMark> {
  return { name, pid, started: (await kernelLine(pid)).started };
}

/** State and start (fields 3 and 22) of a process; counted from the last parenthesis, because names may hold any. */
async function kernelLine(pid: number): Promise<{ state: string; started: string }> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', started: fields[19] ?? '' };
}
