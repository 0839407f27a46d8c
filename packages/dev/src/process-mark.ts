/**
 * Processes that may outlive whoever started them, named so that they can be found again: the number with the time of
 * the start, because the system gives the same number to another one day.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Names a process for good. */
export interface ProcessMark {
  readonly name: string;
  readonly pid: number;
  /** As the kernel tells it; empty where it does not. */
  readonly started: string;
}

/** How long a process may take to end when asked, milliseconds; then it is killed. */
const endMsMax = 10_000;

/** The mark of a process that runs. */
export async function markProcess(name: string, pid: number): Promise<ProcessMark> {
  return { name, pid, started: (await kernelLine(pid)).started };
}

/** Whether that very process still runs. */
export async function isAlive(mark: ProcessMark): Promise<boolean> {
  if (!send(mark.pid, 0)) return false;
  const { state, started } = await kernelLine(mark.pid);
  // One that has ended but that nobody has asked about still has its number; in a container nobody may ever ask.
  return state !== 'Z' && (mark.started === '' || started === mark.started);
}

/**
 * Ends processes that nobody else will end, the last started first: a shard cannot end in good order when its database
 * has gone before it.
 *
 * @param onEach told of each that still runs, before it is ended
 */
export async function endProcesses(marks: readonly ProcessMark[], onEach: (mark: ProcessMark) => void): Promise<void> {
  for (const mark of marks.toReversed()) {
    if (!(await isAlive(mark))) continue;
    onEach(mark);
    await end(mark);
  }
}

async function end(mark: ProcessMark): Promise<void> {
  // SIGINT: our services take it as SIGTERM, and for Postgres it is the shutdown that does not wait for sessions
  send(mark.pid, 'SIGINT');
  const lastMs = performance.now() + endMsMax;
  while (performance.now() < lastMs) {
    if (!(await isAlive(mark))) return;
    await sleep(50);
  }
  send(mark.pid, 'SIGKILL');
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** State and start (fields 3 and 22) of a process; counted from the last parenthesis, because names may hold any. */
async function kernelLine(pid: number): Promise<{ state: string; started: string }> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', started: fields[19] ?? '' };
}
