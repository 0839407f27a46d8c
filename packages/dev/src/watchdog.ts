/**
 * What we start must not outlive us, even when we are killed and can stop nothing: a test run that is cut off would leave
 * its Postgres behind for ever. So a small process of its own (`watchdog-main.ts`) hears from us what runs, notices when
 * the pipe between us breaks, and cleans up.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { markProcess, type ProcessMark } from './process-mark.js';

/** One line to the watchdog. */
export type WatchdogOrder =
  | { readonly kind: 'watch'; readonly mark: ProcessMark }
  | { readonly kind: 'forget'; readonly pid: number }
  | { readonly kind: 'remove'; readonly folder: string };

let pipe: Socket | undefined;

/** Has a process ended when we end. @param ended resolves when it has ended by itself */
export async function watchOver(name: string, pid: number, ended: Promise<unknown>): Promise<void> {
  order({ kind: 'watch', mark: await markProcess(name, pid) });
  void ended.then(() => order({ kind: 'forget', pid }));
}

/** Has a folder removed when we end, after the processes. */
export function removeAtEnd(folder: string): void {
  order({ kind: 'remove', folder });
}

function order(line: WatchdogOrder): void {
  pipe ??= start();
  pipe.write(`${JSON.stringify(line)}\n`);
}

function start(): Socket {
  const program = createRequire(import.meta.url).resolve('@meshd/dev/watchdog-main');
  // A process group of its own: what ends us must not end it, a Ctrl-C on the terminal for one.
  const child = spawn(process.execPath, [program], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env: {} });
  child.unref();
  const socket = child.stdin as unknown as Socket;
  // Without it nothing is worse than it was before there was a watchdog.
  child.on('error', () => {});
  socket.on('error', () => {});
  socket.unref();
  return socket;
}
