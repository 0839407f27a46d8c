/**
 * Who uses a data folder. One provider at a time: two would start two Postgres servers on one cluster.
 *
 * The file names the process that owns the folder and the programs it started. An owner that was killed may leave its
 * programs running; the next owner ends them first.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { endProcesses, isAlive, markProcess, type ProcessMark } from './process-mark.js';
import type { RunningProgram } from './program.js';

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

/**
 * Takes the folder, after ending what a killed owner left.
 *
 * @param file where ownership is written down
 * @throws InUseError when its owner is alive
 */
export async function takeOwnership(file: string, say: (text: string) => void): Promise<Ownership> {
  const me = await markProcess('owner', process.pid);
  const write = (programs: readonly ProcessMark[]) => save(file, { owner: me, programs });
  if (!(await create(file, { owner: me, programs: [] }))) {
    const previous = await load(file);
    if (previous !== undefined && (await isAlive(previous.owner))) throw new InUseError(previous.owner.pid);
    await endProcesses(previous?.programs ?? [], ({ name, pid }) =>
      say(`Stopping ${name} (process ${pid}), left by a run that was killed`),
    );
    await write([]);
  }
  return {
    record: async (programs) => write(await Promise.all(programs.map(({ name, pid }) => markProcess(name, pid)))),
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
