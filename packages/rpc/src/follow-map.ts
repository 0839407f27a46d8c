/** Following the slot map: from any shard that answers, for as long as the follower lives. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SlotMap } from './generated/meshd/shard/v1/shard.js';

/** What {@link followSlotMap} needs. */
export interface FollowOptions {
  /** Addresses that may be asked now, those of the map known and those set; asked for anew at each attempt. */
  readonly addresses: () => readonly string[];
  /** Version of the map in use; 0 before the first. */
  readonly version: () => number;
  readonly watch: (address: string, versionKnown: number, signal: AbortSignal) => AsyncIterable<SlotMap>;
  readonly onMap: (map: SlotMap) => void;
  /** An attempt ended; another follows. */
  readonly onError: (error: unknown, address: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Between attempts, milliseconds: the first, and the longest. */
const rewatchMs = { first: 100, longest: 5000 };

/** Follows the map until the signal fires; never throws. */
export async function followSlotMap(options: FollowOptions): Promise<void> {
  const { signal } = options;
  let waitMs = rewatchMs.first;
  for (let turn = 0; !signal.aborted; turn += 1) {
    const addresses = [...new Set(options.addresses())];
    const address = addresses[turn % addresses.length] as string;
    try {
      for await (const map of options.watch(address, options.version(), signal)) {
        if (signal.aborted) return;
        waitMs = rewatchMs.first;
        options.onMap(map);
      }
    } catch (error) {
      if (signal.aborted) return;
      options.onError(error, address);
    }
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(rewatchMs.longest, waitMs * 2);
  }
}
