/** How much processor time processes use, as the system counts it: tells where the time goes even on a busy machine. */
import { readFile } from 'node:fs/promises';
import type { ProviderProcesses } from '@meshd/dev/provider-processes';

/** Ticks of the kernel's accounting, a second; the same on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Milliseconds of processor time that a process has used; undefined where the system does not say. */
async function usedMs(pid: number): Promise<number | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // Behind the name, which may hold anything but a closing bracket: state is the first, times are the 12th and 13th.
    const members = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return ((Number(members[11]) + Number(members[12])) * 1000) / ticksPerSecond;
  } catch {
    return undefined;
  }
}

/** Begins to count; the function tells milliseconds by process since then. */
export async function countProcessorTime(
  providers: readonly { readonly processes: ProviderProcesses }[],
): Promise<() => Promise<Record<string, number>>> {
  const programs = providers.flatMap(({ processes }) =>
    processes.programs.map(({ name, pid }) => ({ name: `${processes.plan.domains[0]} ${name}`, pid })),
  );
  const before = await Promise.all(programs.map(({ pid }) => usedMs(pid)));
  return async () => {
    const used: Record<string, number> = {};
    for (const [at, { name, pid }] of programs.entries()) {
      const [from, to] = [before[at], await usedMs(pid)];
      if (from !== undefined && to !== undefined) used[name] = to - from;
    }
    return used;
  };
}
