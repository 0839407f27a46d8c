/** The watchdog: reads orders until its input ends, which means that whoever started it has ended; then cleans up. */
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { endProcesses, type ProcessMark } from './process-mark.js';
import type { WatchdogOrder } from './watchdog.js';

const watched = new Map<number, ProcessMark>();
const folders = new Set<string>();

// Only the end of its input ends it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as WatchdogOrder;
  if (order.kind === 'watch') watched.set(order.mark.pid, order.mark);
  else if (order.kind === 'forget') watched.delete(order.pid);
  else folders.add(order.folder);
}
await endProcesses([...watched.values()], () => {});
for (const folder of folders) await rm(folder, { recursive: true, force: true });
