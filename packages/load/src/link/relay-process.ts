/** A relay in a process of its own, if need be in another network namespace. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RelayPlan } from './relay.js';
import type { RelayReport } from './relay-main.js';

/** A relay that runs. */
export interface RelayProcess {
  /** Where it listens, if that is a port. */
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Starts it.
 *
 * @param within words before the command: `ip netns exec NAME`
 * @throws Error with what kept it from listening
 */
export async function startRelayProcess(plan: RelayPlan, within: readonly string[] = []): Promise<RelayProcess> {
  const main = fileURLToPath(new URL('./relay-main.js', import.meta.url));
  const [command = '', ...args] = [...within, process.execPath, main];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await ended;
  };
  const failed = Promise.race([ended, once(child, 'error')]).then(() => ({ error: 'it has ended' }));
  const answered = once(child, 'message').then(([report]) => report as RelayReport);
  child.send(plan);
  const report = await Promise.race([answered, failed]);
  if ('error' in report) {
    await stop();
    throw new Error(`the relay does not run: ${report.error}`);
  }
  return { port: report.port ?? 0, stop };
}
