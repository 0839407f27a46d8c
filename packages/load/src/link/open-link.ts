/** Puts a slow link in front of a service. */
import { openKernelLine } from './kernel-line.js';
import type { RelayEnd } from './relay.js';
import { startRelayProcess } from './relay-process.js';

/** A link that is up. */
export interface Link {
  /** Port of the loopback interface that leads over the link. */
  readonly port: number;
  readonly bitsPerSecond: number;
  /** Who shapes: `tc tbf` on a virtual interface, or a process that relays. */
  readonly by: 'kernel' | 'relay';
  /** Why it is not the kernel. */
  readonly why?: string;
  stop(): Promise<void>;
}

/** What {@link openLink} needs. */
export interface LinkOptions {
  readonly bitsPerSecond: number;
  /** Where the far end leads. */
  readonly to: RelayEnd;
  /** Who shapes; the kernel where it can when absent. */
  readonly by?: Link['by'] | undefined;
}

/**
 * Opens a link, by the kernel where that is possible.
 *
 * @throws Error where neither can be had, or not the one that was asked for
 */
export async function openLink({ bitsPerSecond, to, by }: LinkOptions): Promise<Link> {
  let why: string | undefined;
  if (by !== 'relay') {
    try {
      return { ...(await openKernelLine(to, bitsPerSecond)), bitsPerSecond, by: 'kernel' };
    } catch (error) {
      if (by === 'kernel') throw error;
      why = (error as Error).message.split('\n')[0] ?? '';
    }
  }
  const relay = await startRelayProcess({ listen: { host: '127.0.0.1', port: 0 }, to, bitsPerSecond });
  return { ...relay, bitsPerSecond, by: 'relay', ...(why === undefined ? {} : { why }) };
}
