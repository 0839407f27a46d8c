import type { SlotMap, WatchMapRequest } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { PartSink } from '@meshd/rpc/shard-server';
import type { Directory } from './storage/directory.js';
import { type SlotTable, slotMapMessage } from './storage/slot-table.js';

/**
 * Sends the slot map, unless the watcher has this version, and then each newer one until the watcher leaves.
 *
 * Versions that come faster than the watcher reads are skipped: only the newest counts.
 */
export async function watchMap(
  directory: Directory,
  { versionKnown }: WatchMapRequest,
  sink: PartSink<SlotMap>,
): Promise<void> {
  let sentVersion = versionKnown;
  let wake: (() => void) | undefined;
  const notify = () => wake?.();
  const stopListening = directory.onChange(notify);
  sink.signal.addEventListener('abort', notify);
  try {
    while (!sink.signal.aborted) {
      const table: SlotTable = directory.table();
      if (table.version === sentVersion) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      sentVersion = table.version;
      await sink.send(slotMapMessage(table));
    }
  } finally {
    stopListening();
    sink.signal.removeEventListener('abort', notify);
  }
}
