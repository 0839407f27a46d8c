/**
 * A line made by the kernel: near relay → virtual interface → relay in a network namespace → socket in the file system → far
 * relay → service. The last step leads back out of the namespace without a second passage over the line.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { linkBurstBytes, linkQueueMs } from '@meshd/limits/load';
import type { RelayEnd } from './relay.js';
import { type RelayProcess, startRelayProcess } from './relay-process.js';

const run = promisify(execFile);

/** Namespaces and interfaces of ours begin with this; the process follows. */
const prefix = 'meshlink';
const namespaceFolder = '/run/netns';
/** Octets of the second half of 198.18.0.0/15, which is for measurements on devices (RFC 2544). */
const subnetsMax = 64 * 256;

/** A line that is up. */
export interface KernelLine {
  readonly port: number;
  stop(): Promise<void>;
}

let made = 0;

/** Removes what processes left behind that were killed. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(namespaceFolder).catch(() => []);
  for (const name of names) {
    const pid = new RegExp(`^${prefix}-(\\d+)-\\d+$`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await run('ip', ['netns', 'del', name]).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes a line to an end.
 *
 * @throws Error where this machine or this user cannot; what was made is removed
 */
export async function openKernelLine(to: RelayEnd, bitsPerSecond: number): Promise<KernelLine> {
  await removeLeftovers();
  made += 1;
  const name = `${prefix}-${process.pid}-${made}`;
  const subnet = (process.pid * 7 + made) % subnetsMax;
  const address = (host: number): string => `198.19.${Math.floor(subnet / 64)}.${(subnet % 64) * 4 + host}`;
  // At most 15 characters.
  const [near, far] = [`ml${process.pid}n${made}`, `ml${process.pid}f${made}`];
  const bucket = [
    'root',
    'tbf',
    'rate',
    `${bitsPerSecond}bit`,
    'burst',
    `${linkBurstBytes}`,
    'latency',
    `${linkQueueMs}ms`,
  ];
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step().catch(() => undefined);
  };
  const started = (relay: RelayProcess): RelayProcess => {
    undo.push(() => relay.stop());
    return relay;
  };
  try {
    await run('ip', ['netns', 'add', name]);
    // The pair goes with the namespace.
    undo.push(() => run('ip', ['netns', 'del', name]));
    await run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
    await run('ip', ['addr', 'add', `${address(1)}/30`, 'dev', near]);
    await run('ip', ['link', 'set', near, 'up']);
    await run('ip', ['-n', name, 'addr', 'add', `${address(2)}/30`, 'dev', far]);
    await run('ip', ['-n', name, 'link', 'set', far, 'up']);
    await run('tc', ['qdisc', 'add', 'dev', near, ...bucket]);
    await run('tc', ['-n', name, 'qdisc', 'add', 'dev', far, ...bucket]);
    const folder = await mkdtemp(join(tmpdir(), `${prefix}-`));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'far');
    started(await startRelayProcess({ listen: { path }, to }));
    const within = ['ip', 'netns', 'exec', name];
    const beyond = started(await startRelayProcess({ listen: { host: address(2), port: 0 }, to: { path } }, within));
    const listen = { host: '127.0.0.1', port: 0 };
    const { port } = started(await startRelayProcess({ listen, to: { host: address(2), port: beyond.port } }));
    return { port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
